package alerts_test

import (
	"maps"
	"regexp"
	"strings"
	"testing"
)

// inhibitRule is a rule of alertmanager.yaml: while an alert fires that the
// source matches, those are held back that the target matches and that have the
// same values of the labels in Equal.
type inhibitRule struct {
	Source []string `yaml:"source_matchers"`
	Target []string `yaml:"target_matchers"`
	Equal  []string `yaml:"equal"`
}

// holdsBack reports whether source holds target back, as Alertmanager says: an
// alert that both sides of the rule match does not hold another such one back.
func (r inhibitRule) holdsBack(t *testing.T, source, target map[string]string) bool {
	t.Helper()
	if !matches(t, r.Source, source) || !matches(t, r.Target, target) {
		return false
	}
	if matches(t, r.Target, source) && matches(t, r.Source, target) {
		return false
	}
	for _, name := range r.Equal {
		if source[name] != target[name] {
			return false
		}
	}
	return true
}

// matches reports whether the labels satisfy all matchers, such as
// cause!="unknown" or symptom=~"a|b".
func matches(t *testing.T, matchers []string, labels map[string]string) bool {
	t.Helper()
	syntax := regexp.MustCompile(`^(\w+)(=|!=|=~|!~)"(.*)"$`)
	for _, m := range matchers {
		parts := syntax.FindStringSubmatch(m)
		if parts == nil {
			t.Fatalf("not a matcher: %s", m)
		}
		value := labels[parts[1]]
		is := value == parts[3]
		if strings.HasSuffix(parts[2], "~") {
			is = regexp.MustCompile("^(?:" + parts[3] + ")$").MatchString(value)
		}
		if is == strings.HasPrefix(parts[2], "!") {
			return false
		}
	}
	return true
}

func TestWhatHoldsWhatBack(t *testing.T) {
	var config struct {
		Rules []inhibitRule `yaml:"inhibit_rules"`
	}
	read(t, "alertmanager.yaml", &config)
	known := make(map[string]map[string]string)
	for _, a := range alerts(t) {
		known[a.Alert] = maps.Clone(a.Labels)
		known[a.Alert]["alertname"] = a.Alert
	}
	tests := []struct {
		name           string
		source, target string
		otherNode      bool
		want           bool
	}{
		{"a firewall explains what is not reached", "PodNetFirewallDrop", "PodNetUnreachable", false, true},
		{"but not on another node", "PodNetFirewallDrop", "PodNetUnreachable", true, false},
		{"an unknown cause explains nothing", "PodNetUnreachable", "PodNetPortUnreachable", false, false},
		{"nor does it hold a cause back", "PodNetUnreachable", "PodNetFirewallDrop", false, false},
		{"a CNI that fails explains an endpoint that is not reached", "PodNetCNIFailing", "PodNetUnreachable", false, true},
		{"one that is not there too", "PodNetCNINotInstalled", "PodNetUnreachable", false, true},
		{"so do addresses that are used up", "PodNetIPPoolExhausted", "PodNetUnreachable", false, true},
		{"and its sandboxes", "PodNetCNIFailing", "PodNetPodsNotStarting", false, true},
		{"and that nobody listens", "PodNetCNIFailing", "PodNetNotListening", false, true},
		{"and that its endpoint does not run", "PodNetCNIFailing", "PodNetEndpointNotRunning", false, true},
		{"sandboxes that fail for unknown reasons do not", "PodNetPodsNotStarting", "PodNetUnreachable", false, false},
		{"a CNI that fails is no excuse for a firewall", "PodNetCNIFailing", "PodNetFirewallDrop", false, false},
		{"nor for a node that is gone", "PodNetCNIFailing", "PodNetNodeUnreachable", false, false},
		{"a node that is gone explains its agent", "PodNetNodeUnreachable", "PodNetAgentDown", false, true},
		{"what is slow for a known reason needs no ticket", "PodNetQueueingDelay", "PodNetSlow", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source, target := maps.Clone(known[tt.source]), maps.Clone(known[tt.target])
			if source == nil || target == nil {
				t.Fatalf("there is no alert %s, or no %s", tt.source, tt.target)
			}
			source["node"], target["node"] = "n2", "n2"
			if tt.otherNode {
				target["node"] = "n3"
			}
			got := false
			for _, r := range config.Rules {
				got = got || r.holdsBack(t, source, target)
			}
			if got != tt.want {
				t.Errorf("%s holds %s back: %v; want %v", tt.source, tt.target, got, tt.want)
			}
		})
	}
}
