package alerts_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	moments "github.com/podnet-exporter/podnet_exporter/exporter/moment"
)

// wait is what passes until a rule can see a fault, besides the scrape, the
// evaluation, the alert's for and Alertmanager's group_wait, which are the same
// for all.
type wait struct {
	agent   time.Duration // until the agents' own series say so
	cycles  float64       // the share of the cycles of [1m] that has to say so then
	outside string        // what comes before all that, and is not podnet's
}

// judged is how long the agents need for a verdict about what has stopped
// answering: the next probe is lost, and the one after it, which comes sooner
// and is given up at a moment, and then comes the end of a cycle.
func judged() time.Duration {
	icmp := config.Default().Probes.ICMP
	givenUp := (icmp.Timeout + moments.Apart - 1).Truncate(moments.Apart)
	return icmp.Interval + icmp.IntervalOnLoss + givenUp + time.Second
}

// slowed is the same for answers that come late: two in a row, or the last five
// of UDP, which are those of four turns: one, two, one, and two.
func slowed() time.Duration { return 4*config.Default().Probes.UDP.Interval + time.Second }

// waits says what every page waits for.
func waits() map[string]wait {
	var (
		voted    = wait{agent: judged(), cycles: 0.4}
		slow     = wait{agent: slowed(), cycles: 0.4}
		gauge    = wait{agent: time.Second}
		kubelet  = wait{agent: time.Second, outside: "the kubelet's second try, up to 15 s"}
		probes   = config.Default().Probes
		searched = wait{agent: probes.PMTU.Interval + 9*time.Second} // TestABlackHoleIsKnownBeforeItsSizeIs
	)
	return map[string]wait{
		"PodNetNodeUnreachable":   voted,
		"PodNetZonesPartitioned":  {agent: judged(), cycles: 0.3},
		"PodNetFirewallDrop":      voted,
		"PodNetRouteMissing":      voted,
		"PodNetInterfaceDown":     voted,
		"PodNetConntrackFull":     gauge,
		"PodNetOverlayBlocked":    voted,
		"PodNetUnreachable":       voted,
		"PodNetPairUnreachable":   voted,
		"PodNetPortFiltered":      voted,
		"PodNetNotListening":      voted,
		"PodNetPortUnreachable":   voted,
		"PodNetCNINotInstalled":   {agent: time.Second, outside: "the kubelet's word that the node is not ready, up to 15 s"},
		"PodNetIPPoolExhausted":   kubelet,
		"PodNetCNIFailing":        kubelet,
		"PodNetPodsNotStarting":   kubelet,
		"PodNetMTUMismatch":       gauge,
		"PodNetMTUBlackHole":      searched,
		"PodNetPacketDuplication": {agent: 10 * time.Second}, // more than 4.5 copies between four scrapes
		"PodNetPacketReordering":  {agent: 12 * time.Second}, // the same, and two are sent at once every 6 s at first
		"PodNetQueueingDelay":     slow,
		"PodNetOneWayDelay":       slow,
		"PodNetUnderlayLoss":      {agent: 30 * time.Second}, // TestALossOfATenthIsFoundWithinSeconds
	}
}

// atWorst returns how long a page takes from the fault until it is sent.
func atWorst(t *testing.T, a rule) time.Duration {
	t.Helper()
	w, ok := waits()[a.Alert]
	if !ok {
		t.Errorf("%s: what does it wait for? Add it to waits", a.Alert)
	}
	const scrape, window = scrapeEvery * time.Second, time.Minute
	interval := groupInterval(t)
	evaluations := math.Ceil(duration(t, a.For).Seconds() / interval.Seconds())
	cycles := time.Duration(w.cycles * float64(window-scrape))
	return w.agent + cycles + scrape + interval + time.Duration(evaluations)*interval + groupWait(t)
}

func TestEveryPageComesWithinAMinuteAtTheWorstOfTimes(t *testing.T) {
	for _, a := range alerts(t) {
		if a.Labels["severity"] != "page" {
			continue
		}
		worst := atWorst(t, a)
		if worst > pageBudget*time.Second {
			t.Errorf("%s may take %v; a page may take %d s", a.Alert, worst, pageBudget)
		}
		if took := time.Duration(seconds(t, a.Alert))*time.Second + groupWait(t); took > worst {
			t.Errorf("%s takes %v in its promtool test, and by waits %v at worst", a.Alert, took, worst)
		}
	}
	for name := range waits() {
		if !isPage(t, name) {
			t.Errorf("waits has %s, which is no page", name)
		}
	}
}

func isPage(t *testing.T, name string) bool {
	t.Helper()
	for _, a := range alerts(t) {
		if a.Alert == name {
			return a.Labels["severity"] == "page"
		}
	}
	return false
}

// worstText returns the table's cell.
func worstText(t *testing.T, a rule) string {
	t.Helper()
	if a.Labels["severity"] != "page" {
		return ""
	}
	text := fmt.Sprintf("%.0f", math.Ceil(atWorst(t, a).Seconds()))
	if outside := waits()[a.Alert].outside; outside != "" {
		text += ", after " + outside
	}
	return text
}

// groupInterval returns how often the rules are evaluated.
func groupInterval(t *testing.T) time.Duration {
	t.Helper()
	var file struct {
		Groups []struct {
			Interval string `yaml:"interval"`
		} `yaml:"groups"`
	}
	read(t, rulesFile, &file)
	if len(file.Groups) != 1 {
		t.Fatalf("%s has %d groups; want one, so that alerts read what was recorded just before", rulesFile, len(file.Groups))
	}
	return duration(t, file.Groups[0].Interval)
}

// groupWait returns for how long Alertmanager waits for more alerts of a page.
func groupWait(t *testing.T) time.Duration {
	t.Helper()
	type route struct {
		GroupWait string  `yaml:"group_wait"`
		Routes    []route `yaml:"routes"`
	}
	var file struct {
		Route route `yaml:"route"`
	}
	read(t, "alertmanager.yaml", &file)
	longest := duration(t, file.Route.GroupWait)
	for _, r := range file.Route.Routes {
		longest = max(longest, duration(t, r.GroupWait))
	}
	return longest
}

// duration reads one, 0 if there is none.
func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
