package alerts_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	promtool = "../bin/promtool" // make tools

	scrapeEvery = 15 // seconds
	evaluate    = 10
	caseLasts   = 5 * 60 // seconds
	faultAfter  = 3 * 60
)

// plight is what is wrong between the nodes of a cluster.
type plight struct {
	name    string
	nodes   []string // each has its zone as its first letter
	verdict func(from, to string) string
	off     string // the node that is not scraped any more
	vxlan   bool
	pages   []string // that fire, "alert node", and no others but those that these hold back
	held    []string // that may fire while one of those does: Alertmanager holds them back
}

func plights() []plight {
	four, six := []string{"a1", "a2", "b1", "b2"}, []string{"a1", "a2", "b1", "b2", "c1", "c2"}
	between := func(x, y string, verdict string) func(from, to string) string {
		return func(from, to string) string {
			if strings.HasPrefix(from, x) && strings.HasPrefix(to, y) || strings.HasPrefix(from, y) && strings.HasPrefix(to, x) {
				return verdict
			}
			return "ok"
		}
	}
	around := func(node, verdict string) func(from, to string) string {
		return func(from, to string) string {
			if from != to && (from == node || to == node) {
				return verdict
			}
			return "ok"
		}
	}
	return []plight{
		{name: "a node is off", nodes: four, verdict: around("a2", "node_unreachable"), off: "a2", pages: []string{"PodNetNodeUnreachable a2"}, held: []string{"PodNetUnreachable a2"}},
		{name: "a node of many is off", nodes: six, verdict: around("a2", "node_unreachable"), off: "a2", pages: []string{"PodNetNodeUnreachable a2"}, held: []string{"PodNetUnreachable a2"}},
		{name: "two zones are apart", nodes: four, verdict: between("a", "b", "node_unreachable"), pages: []string{"PodNetZonesPartitioned a-b"}},
		{name: "two of three zones are apart", nodes: six, verdict: between("a", "b", "node_unreachable"), pages: []string{"PodNetZonesPartitioned a-b"}},
		{name: "a pair is cut", nodes: four, verdict: between("a1", "b1", "node_unreachable"), pages: []string{"PodNetPairUnreachable a1", "PodNetPairUnreachable b1"}},
		{name: "a pair of many is cut", nodes: six, verdict: between("a1", "a2", "pod_network"), pages: []string{"PodNetPairUnreachable a1", "PodNetPairUnreachable a2"}},
		{name: "the overlay to a node is blocked", nodes: four, verdict: around("a2", "pod_network"), vxlan: true, pages: []string{"PodNetOverlayBlocked a2"}, held: []string{"PodNetUnreachable a2"}},
	}
}

// Agents are scraped one after the other, rules are evaluated at times of their
// own, and a fault comes when it comes: whatever these times are, the page
// comes within the budget, and no other does.
func TestPagesOfAnyPhase(t *testing.T) {
	if _, err := os.Stat(promtool); err != nil {
		t.Skip("bin/promtool is not there: make tools")
	}
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	limit := pageBudget - int(groupWait(t).Seconds())
	for _, p := range plights() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			var file strings.Builder
			fmt.Fprintf(&file, "rule_files: [%s]\nevaluation_interval: %ds\ntests:\n", rulesFile, evaluate)
			random := rand.New(rand.NewPCG(1, 2))
			for fault := faultAfter; fault < faultAfter+2*scrapeEvery; fault += 5 {
				p.write(&file, fault, limit, byChance(p.nodes, random))
				p.write(&file, fault, limit, oneAhead(p.nodes, random.IntN(scrapeEvery)))
			}
			name := filepath.Join(t.TempDir(), "phases.test.yaml")
			write(t, name, []byte(file.String()))
			write(t, filepath.Join(filepath.Dir(name), rulesFile), rules)
			if out, err := exec.Command(promtool, "test", "rules", name).CombinedOutput(); err != nil {
				t.Errorf("%v\n%.4000s", err, out)
			}
		})
	}
}

// moment is when things happen to a node: the phase of its agent's scrapes, and
// after how many seconds it gives up a peer.
type moment struct{ phase, givesUp int }

// lastToKnow is after how many seconds the last node gives up a peer.
func lastToKnow() int { return int(math.Ceil(judged().Seconds())) }

func byChance(nodes []string, random *rand.Rand) map[string]moment {
	moments := make(map[string]moment)
	for _, n := range nodes {
		moments[n] = moment{random.IntN(scrapeEvery), 1 + random.IntN(lastToKnow())}
	}
	return moments
}

// oneAhead is that the first node knows before all others: it gives up sooner,
// and is scraped right after them.
func oneAhead(nodes []string, phase int) map[string]moment {
	moments := make(map[string]moment)
	for _, n := range nodes {
		moments[n] = moment{(phase + scrapeEvery - 1) % scrapeEvery, lastToKnow()}
	}
	moments[nodes[0]] = moment{phase, 1}
	return moments
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// write writes one promtool test: the fault at that second, and the page so
// many seconds later at most.
func (p plight) write(file *strings.Builder, fault, limit int, moments map[string]moment) {
	fmt.Fprintf(file, "  - name: fault at %d s\n    interval: 1s\n    input_series:\n", fault)
	for _, from := range p.nodes {
		phase, last := moments[from].phase, caseLasts
		if from == p.off {
			last = fault
		}
		series := func(name, labels string, value func(at int) int) {
			fmt.Fprintf(file, "      - {series: '%s{instance=%q, node=%q%s}', values: '%s'}\n", name, from, from, labels, samples(phase, last, value))
		}
		one := func(int) int { return 1 }
		series("podnet_build_info", "", one)
		if p.vxlan {
			series("podnet_interface_info", `, device="flannel.1", kind="vxlan", namespace="", pod=""`, one)
		}
		for _, to := range p.nodes {
			said, since := p.verdict(from, to), fault+moments[from].givesUp
			zones := ""
			if from[0] != to[0] {
				zones = min(from[:1], to[:1]) + "-" + max(from[:1], to[:1])
			}
			series("podnet_peer_info", fmt.Sprintf(", peer_node=%q, zones=%q", to, zones), one)
			for _, verdict := range []string{"ok", "lossy", "node_unreachable", "pod_network"} {
				series("podnet_peer_verdicts_total", fmt.Sprintf(`, peer_node=%q, family="ipv4", verdict=%q`, to, verdict), func(at int) int {
					switch {
					case said == "ok" && verdict == "ok":
						return at
					case said == "ok":
						return 0
					case verdict == "ok":
						return min(at, fault)
					case verdict == "lossy":
						return min(max(at-fault, 0), since-fault)
					case verdict == said:
						return max(at-since, 0)
					}
					return 0
				})
			}
		}
	}
	file.WriteString("    promql_expr_test:\n")
	for _, page := range p.pages {
		alert, node, _ := strings.Cut(page, " ")
		fmt.Fprintf(file, "      - {eval_time: %ds, expr: 'min(min_over_time(timestamp(ALERTS{alertname=%q, node=%q, alertstate=\"firing\"})[%ds:10s])) - %d <= bool %d', exp_samples: [{labels: '{}', value: 1}]}\n",
			caseLasts, alert, node, caseLasts, fault, limit)
	}
	if len(p.held) > 0 {
		fmt.Fprintf(file, "      - {eval_time: %ds, expr: 'count_over_time((ALERTS{alertstate=\"firing\", severity=\"page\", cause=\"unknown\"} unless on (node) ALERTS{alertstate=\"firing\", severity=\"page\", cause!=\"unknown\"})[%ds:10s])', exp_samples: []}\n",
			caseLasts, caseLasts)
	}
	var known []string
	for _, page := range slices.Concat(p.pages, p.held) {
		alert, node, _ := strings.Cut(page, " ")
		known = append(known, fmt.Sprintf("ALERTS{alertname=%q, node=%q}", alert, node))
	}
	fmt.Fprintf(file, "      - {eval_time: %ds, expr: 'group by (alertname, node, peer_node) (max_over_time(ALERTS{alertstate=\"firing\", severity=\"page\"}[%ds])) unless on (alertname, node) (%s)', exp_samples: []}\n",
		caseLasts, caseLasts, lastOf(known))
}

// lastOf returns an expression that has each of the selectors' series, as of any
// time.
func lastOf(selectors []string) string {
	var all []string
	for _, s := range selectors {
		all = append(all, fmt.Sprintf("group by (alertname, node) (max_over_time(%s[%ds]))", s, caseLasts))
	}
	return strings.Join(all, " or ")
}

// samples writes the samples of a series that is scraped from a phase on, and
// whose last scrape that succeeds is at a second or before.
func samples(phase, last int, value func(at int) int) string {
	var text []string
	for at := range caseLasts {
		switch {
		case at%scrapeEvery != phase || at > last+scrapeEvery:
			text = append(text, "_")
		case at > last:
			text = append(text, "stale")
		default:
			text = append(text, fmt.Sprint(value(at)))
		}
	}
	return strings.Join(text, " ")
}
