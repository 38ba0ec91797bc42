package helm_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
)

func TestWrongValuesAreRefusedWithAReason(t *testing.T) {
	tests := []struct {
		name string
		set  string   // of --set
		want []string // all in the message
	}{
		{"a key that there is not", "agents.log.level=debug", []string{"additional properties 'agents' not allowed"}},
		{"a key that there is not, deeper", "agent.loglevel=debug", []string{"/agent", "additional properties 'loglevel' not allowed"}},
		{"a probe that there is not", "config.probes.http.enabled=true", []string{"/config/probes", "'http' not allowed"}},
		{"discovery, which the chart fills in", "config.discovery.file.path=x", []string{"/config", "'discovery' not allowed"}},
		{"a port of a probe, which the chart fills in", "config.probes.tcp.port=1", []string{"/config/probes/tcp", "'port' not allowed"}},
		{"a word in place of a number", "ports.probe=high", []string{"/ports/probe", "got string, want integer"}},
		{"a word in place of a switch", "rbac.create=yes", []string{"/rbac/create", "got string, want boolean"}},
		{"a port that there is not", "ports.metrics=70000", []string{"/ports/metrics", "maximum: got 70,000, want 65,535"}},
		{"no port", "ports.metrics=0", []string{"/ports/metrics", "minimum: got 0, want 1"}},
		{"one port for two", "ports.metrics=9798", []string{"ports.metrics and ports.probe are both 9798"}},
		{"an interval without a unit", "config.probes.icmp.interval=5", []string{"/config/probes/icmp/interval", "got number, want string"}},
		{"an interval that is no time", "config.probes.icmp.interval=soon", []string{"/config/probes/icmp/interval", "'soon' does not match"}},
		{"an interval that is a flood", "config.probes.icmp.interval=1ms", []string{"config.probes.icmp.interval is 1ms", "10ms to 10m"}},
		{"an interval that never comes round", "config.probes.path.interval=11m", []string{"config.probes.path.interval is 11m", "10ms to 10m"}},
		{"an interval on loss that is a flood", "config.probes.path.interval_on_loss=1ms", []string{"config.probes.path.interval_on_loss is 1ms", "10ms to 10m"}},
		{"an interval on loss that never comes round", "config.probes.tcp.interval_on_loss=11m", []string{"config.probes.tcp.interval_on_loss is 11m", "10ms to 10m"}},
		{"a timeout longer than the interval", "config.probes.tcp.timeout=1m30s", []string{"config.probes.tcp.timeout is 1m30s", "not shorter than the interval of 2s"}},
		{"an interval shorter than the timeout", "config.probes.udp.interval=500ms", []string{"config.probes.udp.timeout is 800ms", "interval of 500ms"}},
		{"too few peers", "config.mesh.peers=2", []string{"/config/mesh/peers", "minimum: got 2, want 8"}},
		{"a protocol that there is not", "config.probes.path.protocol=sctp", []string{"/config/probes/path/protocol", "'udp', 'tcp', 'icmp'"}},
		{"a capability that the agent does not use", "agent.capabilities={SYS_MODULE}", []string{"/agent/capabilities/0", "'NET_ADMIN'"}},
		{"a privileged agent", "agent.privileged=true", []string{"/agent", "'privileged' not allowed"}},
		{"a level that there is not", "agent.log.level=loud", []string{"/agent/log/level", "'debug', 'info', 'warn', 'error'"}},
		{"a name that no object can have", "name=Pod_Net", []string{"/name", "'Pod_Net' does not match"}},
		{"a quantity that there is not", "agent.resources.limits.memory=much", []string{"/agent/resources/limits/memory", "'much' does not match"}},
		{"neither on, off nor auto", "podMonitor.enabled=perhaps", []string{"/podMonitor/enabled", "'auto'"}},
		{"a password that nobody asks for", "podMonitor.basicAuth.username.name=x", []string{"podMonitor.basicAuth is given", "web.existingSecret"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := render(t, "--set", tt.set)
			if err == nil {
				t.Fatalf("%s was taken", tt.set)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: the message has no %q:\n%v", tt.set, want, err)
				}
			}
		})
	}
}

// schema is what the tests need to know of a JSON schema.
type schema struct {
	Properties map[string]schema `json:"properties"`
}

func readSchema(t *testing.T) schema {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chart, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaKnowsEveryKeyOfTheConfiguration keeps a key that the program
// learns from being refused by the chart.
func TestSchemaKnowsEveryKeyOfTheConfiguration(t *testing.T) {
	filledIn := []string{ // by the chart
		"node", "discovery", "responder", "probes.tcp.port", "probes.udp.port",
	}
	var missing []string
	var compare func(at string, known schema, wanted reflect.Type)
	compare = func(at string, known schema, wanted reflect.Type) {
		for i := range wanted.NumField() {
			field := wanted.Field(i)
			key := strings.TrimPrefix(at+"."+field.Tag.Get("yaml"), ".")
			if slices.Contains(filledIn, key) {
				continue
			}
			child, ok := known.Properties[field.Tag.Get("yaml")]
			if !ok {
				missing = append(missing, key)
				continue
			}
			if field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[time.Time]() {
				compare(key, child, field.Type)
			}
		}
	}
	compare("", readSchema(t).Properties["config"], reflect.TypeFor[config.Config]())
	if len(missing) > 0 {
		t.Errorf("values.schema.json does not know %v of the agent's configuration", missing)
	}
}

// TestEveryValueIsInBothFiles: a value that is in values.yaml only is refused,
// one in the schema only is documented nowhere.
func TestEveryValueIsInBothFiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	known := readSchema(t).Properties
	delete(known, "global") // Helm's own
	if diff := cmp.Diff(keys(known), keys(values)); diff != "" {
		t.Errorf("values (-schema +values.yaml):\n%s", diff)
	}
	for name, value := range values {
		inner, ok := value.(map[string]any)
		if !ok || len(known[name].Properties) == 0 {
			continue
		}
		if diff := cmp.Diff(keys(known[name].Properties), keys(inner)); diff != "" {
			t.Errorf("values of %s (-schema +values.yaml):\n%s", name, diff)
		}
	}
}

func keys[V any](m map[string]V) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
