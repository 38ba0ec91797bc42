package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// build returns the panel as Grafana knows it.
func (p Panel) build(id uint32, at dashboard.GridPos) dashboard.Panel {
	made := dashboard.NewPanel()
	made.Id, made.GridPos = &id, &at
	made.Type = string(p.Kind)
	made.Title, made.Description = &p.Title, ptr(p.description())
	made.Datasource = datasource()
	made.FieldConfig = dashboard.NewFieldConfigSource()
	made.FieldConfig.Defaults = p.defaults()
	for i, q := range p.Queries {
		made.Targets = append(made.Targets, p.target(string(rune('A'+i)), q))
	}
	switch p.Kind {
	case Lines:
		made.Options, made.FieldConfig.Defaults.Custom = lines(p)
	case Table:
		tableOf(made, p)
	case Matrix:
		matrixOf(made)
	case Stat:
		made.Options = statOptions()
	case Timeline:
		made.Options, made.FieldConfig.Defaults.Custom = timeline()
	case Heatmap:
		made.Options = heatmapOptions(p)
	}
	return *made
}

// defaults returns what holds for every field of the panel.
func (p Panel) defaults() dashboard.FieldConfig {
	config := dashboard.NewFieldConfig()
	config.Unit, config.Min = &p.Unit, ptr(0.0)
	if p.Max != 0 {
		config.Max = &p.Max
	}
	if p.NoValue != "" {
		config.NoValue = &p.NoValue
	}
	config.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdPaletteClassic}
	if len(p.Steps) > 0 {
		config.Thresholds = thresholds(p.Steps)
		if p.Kind != Lines {
			config.Color.Mode = dashboard.FieldColorModeIdThresholds
		}
	}
	if len(p.Texts) > 0 {
		config.Mappings = []dashboard.ValueMapping{{ValueMap: texts(p.Texts)}}
	}
	return *config
}

func thresholds(steps []Step) *dashboard.ThresholdsConfig {
	config := &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute}
	for i, s := range steps {
		t := dashboard.Threshold{Color: s.Color}
		if i > 0 { // the first is from minus infinity, which JSON has not
			t.Value = &s.From
		}
		config.Steps = append(config.Steps, t)
	}
	return config
}

func texts(words []Text) *dashboard.ValueMap {
	m := dashboard.NewValueMap()
	for i, t := range words {
		m.Options[t.Value] = dashboard.ValueMappingResult{Text: &t.Text, Color: &t.Color, Index: ptr(int32(i))}
	}
	return m
}

// target returns a query of the panel. What shows the present asks for one
// moment, everything else for the time range. Format heatmap is for classic
// buckets only; native histograms are cells already.
func (p Panel) target(ref string, q Query) variants.Dataquery {
	t := prometheus.NewDataquery()
	t.RefId, t.Expr, t.Datasource = &ref, q.Expr, datasource()
	t.EditorMode = ptr(prometheus.QueryEditorModeCode)
	if q.Legend != "" {
		t.LegendFormat = &q.Legend
	}
	format := prometheus.PromQueryFormatTimeSeries
	if p.Kind == Table || p.Kind == Matrix {
		format = prometheus.PromQueryFormatTable
	}
	t.Format = &format
	t.Instant, t.Range = ptr(p.instant()), ptr(!p.instant())
	return t
}

// instant reports whether the panel shows one moment.
func (p Panel) instant() bool { return p.Kind == Table || p.Kind == Matrix }

func lines(p Panel) (*timeseries.Options, *timeseries.FieldConfig) {
	options := timeseries.NewOptions()
	options.Legend = common.VizLegendOptions{
		DisplayMode: common.LegendDisplayModeList, Placement: common.LegendPlacementBottom, ShowLegend: true, Calcs: []string{},
	}
	options.Tooltip = tooltip()
	config := timeseries.NewFieldConfig()
	config.FillOpacity, config.LineWidth = ptr(10.0), ptr(1.0)
	config.ShowPoints = ptr(common.VisibilityModeNever)
	if p.Stacked {
		config.FillOpacity = ptr(60.0)
		config.Stacking = &common.StackingConfig{Mode: ptr(common.StackingModeNormal), Group: ptr("A")}
	}
	if len(p.Steps) > 0 {
		config.ThresholdsStyle = &common.GraphThresholdsStyleConfig{Mode: common.GraphThresholdsStyleModeDashed}
	}
	return options, config
}

func tooltip() common.VizTooltipOptions {
	return common.VizTooltipOptions{Mode: common.TooltipDisplayModeMulti, Sort: common.SortOrderDescending}
}

func statOptions() *stat.Options {
	options := stat.NewOptions()
	options.ColorMode = common.BigValueColorModeBackground
	options.GraphMode = common.BigValueGraphModeArea
	options.TextMode, options.Orientation = common.BigValueTextModeValue, common.VizOrientationAuto
	options.ReduceOptions = common.ReduceDataOptions{Calcs: []string{"lastNotNull"}}
	return options
}

func timeline() (*statetimeline.Options, *statetimeline.FieldConfig) {
	options := statetimeline.NewOptions()
	options.ShowValue = common.VisibilityModeNever
	options.MergeValues = ptr(true)
	options.Legend = common.VizLegendOptions{
		DisplayMode: common.LegendDisplayModeList, Placement: common.LegendPlacementBottom, ShowLegend: false, Calcs: []string{},
	}
	options.Tooltip = tooltip()
	config := statetimeline.NewFieldConfig()
	config.FillOpacity, config.LineWidth = ptr(uint32(80)), ptr(uint32(0))
	return options, config
}

func heatmapOptions(p Panel) *heatmap.Options {
	options := heatmap.NewOptions()
	options.YAxis.Unit = &p.Unit
	options.Color.Mode = ptr(heatmap.HeatmapColorModeScheme)
	options.Color.Scale = ptr(heatmap.HeatmapColorScaleExponential)
	return options
}
