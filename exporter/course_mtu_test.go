package main

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/exporter/schedule"
	"github.com/podnet-exporter/podnet_exporter/exporter/verdict"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// routed is an engine of which only the route matters.
type routed struct{ schedule.Engine }

func (routed) RouteMTU(netip.Addr) (int, error) { return 1450, nil }

// endsOf says how the n-th probe of a kind ends, counted from 0; nil is that
// nothing is ever heard of it.
type endsOf func(kind probers.Kind, n int) *probers.Result

// takeTurns gives a course so many turns, and returns the kinds of the probes
// that it sent.
func takeTurns(c *mtuCourse, turns int, end endsOf) []string {
	var sent []string
	seen := make(map[probers.Kind]int)
	for range turns {
		for _, p := range c.Turn(routed{}) {
			sent = append(sent, p.Kind.String())
			if res := end(p.Kind, seen[p.Kind]); res != nil {
				r := *res
				r.Tag, r.Event = p.Tag, probers.Done
				c.Result(r)
			}
			seen[p.Kind]++
		}
	}
	return sent
}

// atStake is a course from n1's pod to n2, and where it reports to.
func atStake(port uint16) (*mtuCourse, *board, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	b := newTestBoard()
	key := courseKey{probe: "pmtu", vantage: vantagePod, peer: other, addr: netip.AddrPortFrom(netip.MustParseAddr("10.244.2.2"), port)}
	cfg := config.PMTUProbe{Interval: 5 * time.Second, Timeout: 500 * time.Millisecond}
	return newMTUCourse(key, cfg, metrics.NewPaths(reg).MTU(vantagePod, other.node, other.family), &vantage{name: vantagePod}, b), b, reg
}

func TestTransfersFollowTheSearch(t *testing.T) {
	var (
		fine    = &probers.Result{}
		timeout = &probers.Result{Reason: probers.Timeout}
		forward = &probers.Result{Reason: probers.Timeout, Transfer: &probers.Transfer{Established: true, Size: 4096, Request: 4300, Acked: 0}}
		reverse = &probers.Result{Reason: probers.Timeout, Transfer: &probers.Transfer{Established: true, Size: 4096, Request: 4300, Acked: 4300}}
		unheard = &probers.Result{Reason: probers.Timeout, Transfer: &probers.Transfer{}}
		busy    = &probers.Result{Reason: probers.HTTPStatus, Transfer: &probers.Transfer{Established: true, Size: 4096}}
		starved = &probers.Result{Reason: probers.Impaired, Transfer: &probers.Transfer{Established: true, Size: 4096}}
	)
	ends := func(search *probers.Result, transfers ...*probers.Result) endsOf {
		return func(kind probers.Kind, n int) *probers.Result {
			if kind == probers.TCPTransfer {
				return transfers[min(n, len(transfers)-1)]
			}
			return search
		}
	}
	const once, twice = "icmp transfer", "icmp transfer transfer"
	tests := []struct {
		name string
		port uint16
		ends endsOf
		sent string
		want verdict.Verdict
		ok   string // podnet_path_transfer_ok, "" for no series
	}{
		{"everything passes", 9798, ends(fine, fine), once, verdict.OK, "1"},
		{"pings pass, and large segments vanish", 9798, ends(fine, forward), twice, verdict.LargeLost, "0"},
		{"pings pass, and large segments of the answer vanish", 9798, ends(fine, reverse), twice, verdict.LargeLost, "0"},
		{"one transfer stalls on a path that loses packets", 9798, ends(fine, forward, fine), twice, verdict.OK, "1"},
		{"no ping passes, and large segments vanish", 9798, ends(timeout, forward),
			strings.Repeat("icmp ", 6) + "transfer transfer", verdict.LargeLost, "0"},
		{"no ping passes, and large segments do", 9798, ends(timeout, fine), strings.Repeat("icmp ", 6) + "transfer", verdict.OK, "1"},
		{"there is no connection", 9798, ends(fine, unheard), once, verdict.OK, ""},
		{"nobody listens", 9798, ends(fine, &probers.Result{Reason: probers.Refused}), once, verdict.OK, ""},
		{"the responder has too much to do", 9798, ends(fine, busy), once, verdict.OK, ""},
		{"the prober was starved", 9798, ends(fine, starved), once, verdict.OK, ""},
		{"TCP is not probed", 0, ends(fine, forward), "icmp", verdict.OK, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, b, reg := atStake(tt.port)
			if diff := cmp.Diff(strings.Fields(tt.sent), takeTurns(c, c.every, tt.ends)); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			answer(b, self, nil)
			answer(b, other, nil)
			b.judge(now)
			if got := verdictOf(t, b, other); got != tt.want {
				t.Errorf("n2 is %s; want %s", got, tt.want)
			}
			want := ""
			if tt.ok != "" {
				want = `
# HELP podnet_path_transfer_ok 1 if a TCP transfer of several segments to the peer and back was completed; 0 if two in a row were connected and then stalled: large segments vanish. No series: there was no connection.
# TYPE podnet_path_transfer_ok gauge
podnet_path_transfer_ok{family="ipv4",peer_node="n2",vantage="pod"} ` + tt.ok + "\n"
			}
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "podnet_path_transfer_ok"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSearchesOutliveTheirEngine(t *testing.T) {
	for _, lost := range []probers.Kind{probers.ICMP, probers.TCPTransfer} {
		t.Run(lost.String(), func(t *testing.T) {
			c, _, _ := atStake(9798)
			sent := takeTurns(c, 3*c.every, func(kind probers.Kind, n int) *probers.Result {
				if kind == lost && n == 0 {
					return nil
				}
				return &probers.Result{}
			})
			if got := sent[len(sent)-1]; got != "transfer" || len(sent) < 3 {
				t.Errorf("sent %v after a probe whose end never came; want a search and a transfer again", sent)
			}
		})
	}
}

// What PodNetMTUBlackHole needs of an agent: a search that begins as late as can
// be after the fault, by turns as the loop gives them.
func TestABlackHoleIsKnownBeforeItsSizeIs(t *testing.T) {
	const passes = 1281 // takes a search nearly longest
	tests := []struct {
		name string
		port uint16
		lost func(p probers.Probe) bool
		want time.Duration // from the beginning of the search, at most
		size bool          // is known later
	}{
		{"large packets vanish", 0, func(p probers.Probe) bool { return p.Size > passes }, 3 * time.Second, true},
		{"only those of TCP do", 9798, func(p probers.Probe) bool { return p.Kind == probers.TCPTransfer }, 6 * time.Second, false},
		{"those of TCP do, and nothing answers pings", 9798, func(probers.Probe) bool { return true }, 9 * time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := courseKey{probe: "pmtu", vantage: vantagePod, peer: other, addr: netip.AddrPortFrom(netip.MustParseAddr("10.244.2.2"), tt.port), config: config.Default().Probes.PMTU}
				b, reg := newTestBoard(), prometheus.NewRegistry()
				c := newMTUCourse(k, config.Default().Probes.PMTU, metrics.NewPaths(reg).MTU(vantagePod, other.node, other.family), &vantage{name: vantagePod}, b)
				pace := k.scheduled(c).Interval
				began, found, sized := time.Now(), time.Duration(0), time.Duration(0)
				flying := map[time.Time][]probers.Probe{} // by when they end
				for time.Since(began) < time.Minute && (found == 0 || tt.size && sized == 0) {
					for _, p := range c.Turn(routed{}) {
						end := time.Now().Add(p.Timeout)
						flying[end] = append(flying[end], p)
					}
					time.Sleep(pace)
					for _, end := range slices.SortedFunc(maps.Keys(flying), time.Time.Compare) {
						if end.After(time.Now()) {
							break
						}
						for _, p := range flying[end] {
							c.Result(endOf(p, tt.lost(p)))
						}
						delete(flying, end)
					}
					answer(b, self, nil)
					answer(b, other, nil)
					b.judge(time.Now())
					if found == 0 && verdictOf(t, b, other) == verdict.LargeLost {
						found = time.Since(began)
					}
					if sized == 0 && found != 0 && testutil.CollectAndCount(reg, "podnet_path_mtu_bytes") > 0 {
						sized = time.Since(began)
					}
				}
				if found == 0 || found > tt.want {
					t.Errorf("known after %v; want %v at most", found, tt.want)
				}
				if tt.size && (sized <= found || sized > 25*time.Second) {
					t.Errorf("the size is known after %v; want it after %v, and within 25s", sized, found)
				}
			})
		})
	}
}

// endOf is how a probe ends.
func endOf(p probers.Probe, lost bool) probers.Result {
	res := probers.Result{Tag: p.Tag, Event: probers.Done}
	if lost {
		res.Reason = probers.Timeout
	}
	if lost && p.Kind == probers.TCPTransfer {
		res.Transfer = &probers.Transfer{Established: true, Size: 4096, Request: 4300}
	}
	return res
}
