package main

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// gridWidth is the width of a Grafana dashboard in its own units.
const gridWidth = 24

// Board is a dashboard: rows of panels, read from the top.
type Board struct {
	UID, Title, Description string
	Variables               []Variable
	Rows                    []Row
}

// Row is a headed part of a board.
type Row struct {
	Title  string
	Panels []Panel // laid out from left to right, in as many lines as they need
}

// Panel is one picture and the queries that it shows.
type Panel struct {
	Title         string
	Kind          Kind
	Width, Height uint32

	// What a person on call reads in the panel's description: what is shown,
	// how it looks while all is well, and how it looks when it is not.
	Shows, Healthy, Sick string
	Alerts               []string // alerts whose evidence the panel shows

	Queries []Query
	Unit    string   // of Grafana; "" is a plain number
	Max     float64  // of the axis; 0 is none
	Steps   []Step   // colours by value, ascending; none: colours by series
	Texts   []Text   // words for values
	Stacked bool     // time series are added up
	Columns []Column // of a table, from left to right: all labels of its query, and Value
	Sort    string   // column that a table is sorted by, ascending; "" is the query's order
	NoValue string   // shown when a query has no rows
}

// Kind is how a panel draws.
type Kind string

// The kinds. Their values are the names of Grafana's plugins, but for matrix,
// which is a table with a row per node and a column per peer.
const (
	Lines    Kind = "timeseries"
	Table    Kind = "table"
	Matrix   Kind = "matrix"
	Stat     Kind = "stat"
	Heatmap  Kind = "heatmap"
	Timeline Kind = "state-timeline"
)

// Query is one PromQL expression.
type Query struct {
	Expr   string
	Legend string // name of a series, {{label}} is replaced

	// OnlyDuringFault says that a healthy cluster has no data for it. The lab
	// test expects data of every other query.
	OnlyDuringFault bool
}

// Step gives values from From on a colour. The first step's From is ignored:
// it holds for everything below the second.
type Step struct {
	From  float64
	Color string
}

// Text shows a value as a word in a colour.
type Text struct {
	Value, Text, Color string
}

// Column is a column of a table: a label, or Value, under the name that
// people read.
type Column struct {
	Field, Name string
	Unit        string // of numbers; "" is the panel's
	Link        string // where a click leads, ${__value.raw} is the cell
}

// Variable is a choice at the top of the board. Its Query is what Grafana asks
// Prometheus for, label_values(…); without one it chooses the data source.
type Variable struct {
	Name, Label, Query string
}

// dashboard lays the board out.
func (b Board) dashboard() (*dashboard.Dashboard, error) {
	d := dashboard.NewDashboard()
	d.Uid, d.Title, d.Description = &b.UID, &b.Title, &b.Description
	d.Tags = []string{"podnet", "network"}
	d.Editable = ptr(true)
	d.GraphTooltip = ptr(dashboard.DashboardCursorSyncCrosshair)
	d.Time = &dashboard.DashboardDashboardTime{From: "now-30m", To: "now"}
	d.Refresh = ptr("10s")
	d.Timezone = ptr("browser")
	for _, v := range b.Variables {
		model, err := v.model()
		if err != nil {
			return nil, err
		}
		d.Templating.List = append(d.Templating.List, model)
	}
	d.Annotations.List = append(d.Annotations.List, pages())
	d.Panels = b.panels()
	return d, nil
}

// panels gives every panel its place. Ids are stable within a row: the row's
// number times 100 and the panel's, so that links to a panel survive changes
// in other rows.
func (b Board) panels() []dashboard.PanelOrRowPanel {
	var all []dashboard.PanelOrRowPanel
	var y uint32
	for i, row := range b.Rows {
		id := uint32(i+1) * 100
		all = append(all, dashboard.PanelOrRowPanel{RowPanel: &dashboard.RowPanel{
			Type: "row", Id: id, Title: &row.Title, Panels: []dashboard.Panel{},
			GridPos: &dashboard.GridPos{H: 1, W: gridWidth, Y: y},
		}})
		y++
		var x, line uint32
		for j, p := range row.Panels {
			if x+p.Width > gridWidth {
				x, y, line = 0, y+line, 0
			}
			made := p.build(id+uint32(j)+1, dashboard.GridPos{H: p.Height, W: p.Width, X: x, Y: y})
			all = append(all, dashboard.PanelOrRowPanel{Panel: &made})
			x, line = x+p.Width, max(line, p.Height)
		}
		y += line
	}
	return all
}

// description returns the text behind the panel's information sign.
func (p Panel) description() string {
	parts := []string{p.Shows, "**Healthy:** " + p.Healthy, "**Sick:** " + p.Sick}
	if len(p.Alerts) > 0 {
		parts = append(parts, "Evidence of: "+strings.Join(p.Alerts, ", ")+".")
	}
	return strings.Join(parts, "\n\n")
}

func ptr[T any](v T) *T { return &v }
