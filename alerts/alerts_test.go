package alerts_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const rulesFile = "podnet.rules.yaml"

// rule is a recording rule, or an alert.
type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// symptoms is the closed list of the label symptom.
func symptoms() []string {
	return []string{"unreachable", "port", "dns", "mtu", "cni", "service", "slow", "prober"}
}

// pageCauses is what a page may name as the cause. unknown is a symptom for
// which no cause has evidence.
func pageCauses() []string {
	return []string{
		"unknown",
		"firewall_drop", "firewall_reject", "bpf_drop", "policy_denied",
		"route_missing", "route_blackhole", "route_wrong", "forwarding_disabled", "reverse_path_filter",
		"interface_down", "interface_detached", "link_flapping", "node_unreachable",
		"neighbour_wrong", "neighbour_table_full", "ip_conflict", "overlay_blocked", "overlay_misprogrammed",
		"conntrack_full", "queue_overflow", "backlog_overflow", "underlay_loss", "underlay_partition",
		"not_listening", "listening_on_loopback", "accept_queue_full", "local_ports_exhausted", "udp_receive_buffer_full",
		"dns_no_backend", "dns_backend_down", "dns_upstream_failing", "dns_resolver_misconfigured",
		"dns_path_blocked", "conntrack_insert_race", "dns_slow", "dns_stale_record",
		"mtu_blackhole", "mtu_mismatch",
		"cni_failing", "cni_not_installed", "ip_pool_exhausted", "service_rules_missing", "service_rules_stale",
		"service_no_endpoints", "service_stale_conntrack", "nodeport_broken", "hostport_broken",
		"latency_queueing", "latency_one_way", "packet_duplication", "packet_reordering",
	}
}

// clusterCauses are those that no node is to blame for.
func clusterCauses() []string { return []string{"api_server_away", "discovery_failed"} }

func TestEveryAlertSaysWhatAPersonOnCallNeeds(t *testing.T) {
	for _, a := range alerts(t) {
		t.Run(a.Alert, func(t *testing.T) {
			if !slices.Contains(symptoms(), a.Labels["symptom"]) {
				t.Errorf("symptom = %q; want one of %v", a.Labels["symptom"], symptoms())
			}
			if !slices.Contains([]string{"page", "ticket", "info"}, a.Labels["severity"]) {
				t.Errorf("severity = %q; want page, ticket or info", a.Labels["severity"])
			}
			if a.Labels["cause"] == "" {
				t.Error("no cause")
			}
			if a.Labels["severity"] == "page" && !slices.Contains(pageCauses(), a.Labels["cause"]) {
				t.Errorf("cause = %q, which no fault has", a.Labels["cause"])
			}
			for _, name := range []string{"summary", "description", "likely_causes", "next_command", "runbook_url"} {
				if strings.TrimSpace(a.Annotations[name]) == "" {
					t.Errorf("no annotation %s", name)
				}
			}
			if !regexp.MustCompile(`\$labels\.(node|instance|zones)\b`).MatchString(a.Annotations["summary"]) && !slices.Contains(clusterCauses(), a.Labels["cause"]) {
				t.Error("summary names no node, nor zones")
			}
			if want := "/alerts/runbooks/" + a.Alert + ".md"; !strings.HasSuffix(a.Annotations["runbook_url"], want) {
				t.Errorf("runbook_url = %q; want it to end with %s", a.Annotations["runbook_url"], want)
			}
		})
	}
}

// A rule's own labels are not in $labels, only those of its expression are: a
// template that uses them says nothing, and says so nowhere.
func TestAnnotationsUseNoLabelsOfTheRule(t *testing.T) {
	for _, a := range alerts(t) {
		for name, text := range a.Annotations {
			for label := range a.Labels {
				if strings.Contains(text, "$labels."+label+" ") {
					t.Errorf("%s: %s uses $labels.%s, which is empty", a.Alert, name, label)
				}
			}
		}
	}
}

// Query results come in any order. An annotation that lists them unsorted is
// another one in every evaluation.
func TestAnnotationsListInOneOrder(t *testing.T) {
	loop := regexp.MustCompile(`\{\{ range (\$\w+, \$\w+ := )?query .*?\}\}`)
	for _, a := range alerts(t) {
		for name, text := range a.Annotations {
			for _, found := range loop.FindAllString(text, -1) {
				if !strings.Contains(found, "sortByLabel") && !strings.Contains(found, "topk(") {
					t.Errorf("%s: %s: unsorted: %s", a.Alert, name, found)
				}
			}
		}
	}
}

func TestEveryAlertHasARunbook(t *testing.T) {
	var want []string
	for _, a := range alerts(t) {
		file := a.Alert + ".md"
		want = append(want, file)
		text, err := os.ReadFile(filepath.Join("runbooks", file))
		if err != nil {
			t.Error(err)
			continue
		}
		title, _, _ := strings.Cut(string(text), "\n")
		if !strings.HasPrefix(title, "# "+a.Alert) {
			t.Errorf("%s: title is %q; want it to begin with the alert's name", file, title)
		}
		if cause := a.Labels["cause"]; !strings.Contains(string(text), "`"+cause+"`") {
			t.Errorf("%s does not name the cause `%s`", file, cause)
		}
	}
	noOthers(t, "runbooks/*.md", want)
}

func TestRunbooksLeadToRunbooksThatExist(t *testing.T) {
	link := regexp.MustCompile(`\]\((PodNet\w+\.md)\)`)
	files, err := filepath.Glob("runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join("runbooks", m[1])); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func TestEveryAlertHasATestThatFiresIt(t *testing.T) {
	want := []string{"Quiet.test.yaml"}
	for _, a := range alerts(t) {
		file := a.Alert + ".test.yaml"
		want = append(want, file)
		if !fires(t, filepath.Join("tests", file), a.Alert) {
			t.Errorf("tests/%s has no case in which %s fires", file, a.Alert)
		}
	}
	noOthers(t, "tests/*.yaml", want)
}

// fires reports whether a promtool test expects the alert to fire, with its
// annotations.
func fires(t *testing.T, file, alert string) bool {
	t.Helper()
	var test struct {
		Tests []struct {
			Alerts []struct {
				Name     string `yaml:"alertname"`
				Expected []struct {
					Annotations map[string]string `yaml:"exp_annotations"`
				} `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	read(t, file, &test)
	for _, group := range test.Tests {
		for _, a := range group.Alerts {
			for _, e := range a.Expected {
				if a.Name == alert && e.Annotations["summary"] != "" {
					return true
				}
			}
		}
	}
	return false
}

func TestEveryMetricOfARuleIsDocumented(t *testing.T) {
	documented, err := os.ReadFile("../docs/METRICS.md")
	if os.IsNotExist(err) {
		t.Skip("docs/METRICS.md is not there: make generate")
	}
	if err != nil {
		t.Fatal(err)
	}
	metric := regexp.MustCompile(`\bpodnet_[a-z0-9_]+`)
	for _, r := range rules(t) {
		texts := []string{r.Expr}
		for _, text := range r.Annotations {
			texts = append(texts, text)
		}
		for _, name := range metric.FindAllString(strings.Join(texts, "\n"), -1) {
			if name != "podnet_exporter" && !regexp.MustCompile(`\b`+name+`\b`).Match(documented) {
				t.Errorf("%s%s: %s is not in docs/METRICS.md", r.Record, r.Alert, name)
			}
		}
	}
}

// A record that is used and not recorded is a rule that never fires. One may go
// on from its own last value, if there is something that it begins with.
func TestEveryRecordThatIsUsedIsRecorded(t *testing.T) {
	record := regexp.MustCompile(`\bpodnet:[a-z0-9_:]+`)
	recorded := make(map[string]bool)
	for _, r := range rules(t) {
		texts := []string{r.Expr}
		for _, text := range r.Annotations {
			texts = append(texts, text)
		}
		for _, name := range record.FindAllString(strings.Join(texts, "\n"), -1) {
			if r.Alert != "" && !recorded[name] || r.Record == name && !strings.Contains(r.Expr, " or "+name) {
				t.Errorf("%s%s uses %s, which no rule before it records", r.Record, r.Alert, name)
			}
		}
		recorded[r.Record] = true
	}
}

// noOthers fails for files that belong to no alert.
func noOthers(t *testing.T, pattern string, want []string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !slices.Contains(want, filepath.Base(file)) {
			t.Errorf("%s belongs to no alert of %s", file, rulesFile)
		}
	}
}

// alerts returns the alerts of the rules file, of which there is one at least.
func alerts(t *testing.T) []rule {
	t.Helper()
	var found []rule
	for _, r := range rules(t) {
		if r.Alert != "" {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no alerts", rulesFile)
	}
	return found
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	read(t, rulesFile, &file)
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// read decodes a YAML file into v.
func read(t *testing.T, file string, v any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
