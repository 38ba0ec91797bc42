package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestTheListOfMetricsIsUpToDate(t *testing.T) {
	var got bytes.Buffer
	if err := writeMetricsDoc(&got); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("docs/METRICS.md is not what the program registers; run make generate (-file +program):\n%s", diff)
	}
}

func TestDescriptionsAreReadBack(t *testing.T) {
	tests := []struct {
		name string
		desc *prometheus.Desc
		want described
	}{
		{
			"with labels",
			prometheus.NewDesc("podnet_x_total", `Says "a|b", {c: d}.`, []string{"device", "pod"}, prometheus.Labels{"node": "n1"}),
			described{name: "podnet_x_total", help: `Says "a|b", {c: d}.`, labels: []string{"device", "pod"}},
		},
		{
			"without labels",
			prometheus.NewDesc("podnet_x", "Help.", nil, nil),
			described{name: "podnet_x", help: "Help."},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseDesc(tt.desc.String())
			if !ok {
				t.Fatalf("parseDesc(%s) failed", tt.desc)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(described{})); diff != "" {
				t.Errorf("parseDesc() (-want +got):\n%s", diff)
			}
		})
	}
}
