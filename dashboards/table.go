package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/table"
)

// What Grafana calls the first column of a matrix, and what people read.
const (
	matrixCorner = `node\peer_node`
	matrixTitle  = "from ↓ to →"
)

// tableOf makes the panel a table with the columns that p names. Its query must
// have no other labels.
func tableOf(made *dashboard.Panel, p Panel) {
	options := tableOptions()
	if p.Sort != "" {
		options.SortBy = []common.TableSortByFieldState{{DisplayName: p.Sort, Desc: ptr(false)}}
	}
	made.Options, made.FieldConfig.Defaults.Custom = options, tableFields(false)
	index := map[string]any{}
	rename := map[string]any{}
	for i, c := range p.Columns {
		index[c.Field], rename[c.Field] = i, c.Name
		if o, ok := c.override(p); ok {
			made.FieldConfig.Overrides = append(made.FieldConfig.Overrides, o)
		}
	}
	made.Transformations = []dashboard.DataTransformerConfig{{
		Id: "organize",
		Options: map[string]any{
			"excludeByName": map[string]any{"Time": true}, "indexByName": index, "renameByName": rename,
		},
	}}
}

// override returns what the column does differently from the panel. Only
// values have colours.
func (c Column) override(p Panel) (dashboard.DashboardFieldConfigSourceOverrides, bool) {
	var properties []dashboard.DynamicConfigValue
	set := func(id string, value any) {
		properties = append(properties, dashboard.DynamicConfigValue{Id: id, Value: value})
	}
	if c.Unit != "" {
		set("unit", c.Unit)
	}
	if c.Link != "" {
		set("links", []map[string]any{{"title": "Open", "url": c.Link, "targetBlank": true}})
	}
	if c.Field == "Value" && len(p.Steps) > 0 {
		set("custom.cellOptions", map[string]any{"type": "color-background", "mode": "basic"})
	}
	return dashboard.DashboardFieldConfigSourceOverrides{
		Matcher: dashboard.MatcherConfig{Id: "byName", Options: c.Name}, Properties: properties,
	}, len(properties) > 0
}

// matrixOf makes the panel a matrix, node by peer node, whose cells are
// coloured by value.
func matrixOf(made *dashboard.Panel) {
	made.Type = string(Table)
	options := tableOptions()
	options.SortBy = []common.TableSortByFieldState{{DisplayName: matrixTitle, Desc: ptr(false)}}
	made.Options, made.FieldConfig.Defaults.Custom = options, tableFields(true)
	made.Transformations = []dashboard.DataTransformerConfig{
		// Columns stand in the order in which their names come.
		{Id: "sortBy", Options: map[string]any{"sort": []map[string]any{{"field": "peer_node", "desc": false}}}},
		{Id: "groupingToMatrix", Options: map[string]any{
			"rowField": "node", "columnField": "peer_node", "valueField": "Value", "emptyValue": "empty",
		}},
	}
	made.FieldConfig.Overrides = append(made.FieldConfig.Overrides, dashboard.DashboardFieldConfigSourceOverrides{
		Matcher: dashboard.MatcherConfig{Id: "byName", Options: matrixCorner},
		Properties: []dashboard.DynamicConfigValue{
			{Id: "custom.cellOptions", Value: map[string]any{"type": "auto"}},
			{Id: "displayName", Value: matrixTitle},
		},
	})
}

func tableOptions() *table.Options {
	options := table.NewOptions()
	options.ShowHeader = true
	options.CellHeight = ptr(common.TableCellHeightSm)
	options.Footer = nil // the SDK's own default is not valid
	return options
}

func tableFields(coloured bool) *table.FieldConfig {
	fields := table.NewFieldConfig()
	fields.Align = common.FieldTextAlignmentAuto
	fields.Filterable = ptr(true)
	if coloured {
		options := common.NewTableCellOptions()
		options.TableColoredBackgroundCellOptions = common.NewTableColoredBackgroundCellOptions()
		options.TableColoredBackgroundCellOptions.Mode = ptr(common.TableCellBackgroundDisplayModeBasic)
		fields.CellOptions = options
	}
	return fields
}
