package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/sources"
)

func TestMeshNode(t *testing.T) {
	b, err := yaml.Marshal(mesh(NewPlan(cniVXLAN)).Nodes[1])
	if err != nil {
		t.Fatal(err)
	}
	want := `name: n2
zone: a
addresses: [172.20.1.12, 'fd00:20:1::12']
endpoint:
    namespace: podnet
    pod: endpoint-n2
    addresses: [10.244.2.2, 'fd00:244:2::2']
    netns: /run/netns/podnet-n2-endpoint
pods:
    - namespace: default
      pod: app-n2
      netns: /run/netns/podnet-n2-app
`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
}

func TestWriteFiles(t *testing.T) {
	repo, err := sources.Find()
	if err != nil {
		t.Fatal(err)
	}
	l := &Lab{Plan: NewPlan(cniVXLAN), StateDir: filepath.Join(t.TempDir(), "state"), Repo: repo, Out: io.Discard}
	if err := os.Mkdir(l.StateDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := l.writeFiles(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"n1.yaml", "n4.yaml", "nodes.yaml", "key", "prometheus.yaml", "alertmanager.yaml", "Corefile", "cluster.zone"} {
		if st, err := os.Stat(l.path(name)); err != nil || st.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProductionFiles(t *testing.T) {
	repo, err := sources.Find()
	if err != nil {
		t.Fatal(err)
	}
	l := &Lab{Plan: NewPlan(cniVXLAN), StateDir: t.TempDir(), Repo: repo, Production: true, Out: io.Discard}
	if err := l.writeFiles(); err != nil {
		t.Fatal(err)
	}
	shipped := filepath.Join(repo, "alerts")
	if got, err := filepath.EvalSymlinks(l.path("alertmanager.yaml")); err != nil || got != filepath.Join(shipped, "alertmanager.yaml") {
		t.Errorf("Alertmanager reads %s, %v", got, err)
	}
	config := l.prometheusConfig()
	if diff := cmp.Diff([]string{filepath.Join(shipped, "*.rules.yaml")}, config["rule_files"]); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if got := l.agentConfig(l.Plan.Nodes[0])["probes"]; got != nil {
		t.Errorf("probes of an agent at default settings: %v", got)
	}
	if got := config["global"].(object)["scrape_interval"]; got != "15s" {
		t.Errorf("scrape interval %v, want 15s", got)
	}
}
