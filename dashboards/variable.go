package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// datasource is the data source that the variable of that name chooses.
func datasource() *common.DataSourceRef {
	return &common.DataSourceRef{Type: ptr("prometheus"), Uid: ptr("${datasource}")}
}

// model returns the variable as Grafana knows it.
func (v Variable) model() (dashboard.VariableModel, error) {
	if v.Query == "" {
		return dashboard.NewDatasourceVariableBuilder(v.Name).Label(v.Label).Type("prometheus").Build()
	}
	all := dashboard.VariableOption{
		Selected: ptr(true),
		Text:     dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
		Value:    dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
	}
	query := map[string]any{"query": v.Query, "refId": v.Name, "qryType": 1}
	return dashboard.NewQueryVariableBuilder(v.Name).
		Label(v.Label).
		Datasource(*datasource()).
		Definition(v.Query).
		Query(dashboard.StringOrMap{Map: query}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortNaturalAsc).
		Multi(true).IncludeAll(true).AllValue(".*").Current(all).
		Build()
}

// pagesExpr is true while a page fires.
const pagesExpr = `ALERTS{alertname=~"PodNet.+", alertstate="firing", severity="page"}`

// pages marks in every graph the time in which pages fired.
func pages() dashboard.AnnotationQuery {
	a := dashboard.NewAnnotationQuery()
	a.Name, a.IconColor, a.Datasource = "Pages", "red", datasource()
	a.Expr = ptr(pagesExpr)
	return *a
}
