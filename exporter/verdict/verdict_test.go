package verdict

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// The truth table. A way is written as ICMP and TCP together, or ICMP, TCP and
// UDP:
//
//	++ both answer      +r refused       +- TCP lost     -+ ICMP lost
//	-- both lost        .. not probed    ?? impaired     -? lost while impaired
//	~+ one ping lost, the one before it answered
func TestOf(t *testing.T) {
	tests := []struct {
		name           string
		nn, np, pn, pp string // node→node, node→pod, pod→node, pod→pod
		want           Verdict
	}{
		{"everything answers", "++", "++", "++", "++", OK},
		{"only the host is known and answers", "++", "..", "..", "..", OK},
		{"nothing was measured", "..", "..", "..", "..", Impaired},
		{"the prober was starved", "??", "??", "??", "??", Impaired},
		{"something was lost while the prober was starved", "++", "-?", "++", "++", Impaired},
		{"a starved prober that lost nothing", "++", "+?", "++", "++", OK},

		{"nobody answers", "--", "--", "--", "--", NodeUnreachable},
		{"nobody answers a node that has no pod", "--", "--", "..", "..", NodeUnreachable},
		{"a host without a pod is silent", "--", "..", "..", "..", NodeUnreachable},

		{"the host answers, its pod is silent", "++", "--", "++", "--", PodNetwork},
		{"only our pod cannot reach theirs", "++", "++", "++", "--", PodNetwork},
		{"only our node cannot reach their pod", "++", "--", "++", "++", PodNetwork},
		{"our pod reaches neither", "++", "++", "--", "--", PodNetwork},
		{"our pod reaches neither, our node only the host", "++", "--", "--", "--", PodNetwork},
		{"the pod is silent and the host's port is refused", "+r", "--", "+r", "--", PodNetwork},

		{"the pod answers, its host is silent", "--", "++", "--", "++", HostNetwork},
		{"only our pod cannot reach the host", "++", "++", "--", "++", HostNetwork},
		{"the host is silent to us and the pod is silent", "--", "--", "++", "--", PodNetwork},

		{"nobody listens in the pod", "++", "+r", "++", "+r", PortRefused},
		{"a host refuses and ignores ICMP", "-r", "++", "-r", "++", PortRefused},
		{"the pod's port is filtered", "++", "+-", "++", "+-", PortFiltered},
		{"the host's port is filtered", "+-", "++", "+-", "++", PortFiltered},
		{"refused for one, filtered for the other", "++", "+-", "++", "+r", PortRefused},
		{"the pod ignores ICMP", "++", "-+", "++", "-+", ICMPLost},
		{"a single lost ping", "++", "++", "++", "~+", Lossy},
		{"a single lost handshake", "++", "+~", "++", "++", Lossy},
		{"the first cycle of an outage", "~~", "~~", "~~", "~~", Lossy},
		{"half of an outage's first cycle", "++", "-~", "++", "--", PodNetwork},
		{"a lost ping from a starved prober", "++", "~?", "++", "++", Impaired},
		{"a filtered port weighs more than a lost ping", "-+", "++", "++", "+-", PortFiltered},
		{"UDP is lost and all else answers", "+++", "++-", "+++", "++-", PortFiltered},
		{"UDP is refused and all else answers", "+++", "++r", "+++", "++r", PortRefused},
		{"only UDP gets through to the pod", "+++", "--+", "+++", "--+", PortFiltered},
		{"not even UDP gets through to the pod", "+++", "---", "+++", "---", PodNetwork},
		{"a single lost UDP packet", "+++", "++~", "+++", "+++", Lossy},
		{"TCP is off and ICMP answers", "+.", "+.", "+.", "+.", OK},
		{"ICMP is off and TCP is lost to the pod", ".+", ".-", ".+", ".-", PodNetwork},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Of(cycle(t, tt.nn, tt.np, tt.pn, tt.pp)); got != tt.want {
				t.Errorf("Of() = %s; want %s", got, tt.want)
			}
		})
	}
}

func TestOfThisNode(t *testing.T) {
	tests := []struct {
		name           string
		nn, np, pn, pp string
		want           Verdict
		isolated       bool
	}{
		{"all well", "++", "++", "++", "++", OK, false},
		{"the veth is down: both directions are lost", "++", "--", "--", "++", LocalPod, true},
		{"the pod drops what comes in", "++", "--", "--", "--", LocalPod, true},
		{"only the way out of the pod is lost", "++", "++", "--", "++", LocalPod, true},
		{"the pod's namespace is gone", "++", "--", "..", "..", LocalPod, true},
		{"nobody listens in the pod", "++", "+r", "++", "+r", PortRefused, false},
		{"the pod's port is filtered", "++", "+-", "++", "++", PortFiltered, false},
		{"the agent has just started", "..", "..", "..", "..", Impaired, false},
		{"the agent is starved", "??", "-?", "??", "??", Impaired, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := cycle(t, tt.nn, tt.np, tt.pn, tt.pp)
			c.Self = true
			if got := Of(c); got != tt.want {
				t.Errorf("Of() = %s; want %s", got, tt.want)
			}
			if got := PodIsolated(c); got != tt.isolated {
				t.Errorf("PodIsolated() = %v; want %v", got, tt.isolated)
			}
		})
	}
}

func TestOfDoesNotBlamePeersForOurOwnPod(t *testing.T) {
	c := cycle(t, "++", "++", "--", "--")
	c.PodIsolated = true
	if got := Of(c); got != OK {
		t.Errorf("Of() = %s with our pod cut off; want ok, the peer answers our node", got)
	}
	c = cycle(t, "++", "--", "--", "--")
	c.PodIsolated = true
	if got := Of(c); got != PodNetwork {
		t.Errorf("Of() = %s; want pod_network, the peer's pod is silent to our node too", got)
	}
}

func TestOfCallsAPeerSlowWhenEveryWayIs(t *testing.T) {
	all := cycle(t, "+++", "+++", "+++", "+++")
	for _, w := range []*Way{&all.NodeToNode, &all.NodeToPod, &all.PodToNode, &all.PodToPod} {
		w.Slow = true
	}
	if got := Of(all); got != Slow {
		t.Errorf("Of() = %s; want slow", got)
	}
	one := cycle(t, "+++", "+++", "+++", "+++")
	one.PodToPod.Slow = true
	if got := Of(one); got != OK {
		t.Errorf("Of() = %s with one slow way; want ok", got)
	}
	lost := all
	lost.PodToPod = way(t, "---")
	if got := Of(lost); got != PodNetwork {
		t.Errorf("Of() = %s; want pod_network, which weighs more", got)
	}
}

func TestOfCallsLargePacketsLostWhenSmallOnesPass(t *testing.T) {
	c := cycle(t, "+++", "+++", "+++", "++~")
	c.LargeLost = true
	if got := Of(c); got != LargeLost {
		t.Errorf("Of() = %s; want large_lost", got)
	}
	c.PodToPod = way(t, "---")
	if got := Of(c); got != PodNetwork {
		t.Errorf("Of() = %s; want pod_network: small packets are lost too", got)
	}
}

func TestOfKnowsWhoIsExpectedToBeDown(t *testing.T) {
	for _, tt := range []struct {
		name string
		way  string
		want Verdict
	}{
		{"a drained node that is silent", "--", ExpectedDown},
		{"a drained node whose endpoint has stopped", "+r", ExpectedDown},
		{"a cordoned node that still answers", "++", OK},
		{"a drained node, seen by a starved prober", "-?", Impaired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cycle(t, tt.way, tt.way, tt.way, tt.way)
			c.Expected = true
			if got := Of(c); got != tt.want {
				t.Errorf("Of() = %s; want %s", got, tt.want)
			}
		})
	}
}

// Every combination of outcomes has a verdict of the closed list, and no
// combination without a loss has a bad one.
func TestOfIsTotal(t *testing.T) {
	known := map[Verdict]bool{}
	for _, v := range All() {
		known[v] = true
	}
	outcomes := []Outcome{None, Answer, Refusal, Lapse, Loss, Unknown}
	var ways, single []Way // single: by one probe only
	for _, i := range outcomes {
		single = append(single, Way{ICMP: i}, Way{TCP: i}, Way{UDP: i})
		for _, o := range outcomes {
			ways = append(ways, Way{ICMP: i, TCP: o})
		}
	}
	for _, nn := range ways {
		for _, np := range ways {
			for _, pn := range single {
				for _, pp := range single {
					for flags := range 8 {
						c := Cycle{NodeToNode: nn, NodeToPod: np, PodToNode: pn, PodToPod: pp,
							Self: flags&1 != 0, PodIsolated: flags&2 != 0, Expected: flags&4 != 0}
						v := Of(c)
						if !known[v] {
							t.Fatalf("Of(%+v) = %q, not a verdict", c, v)
						}
						if v != OK && v != Impaired && !failed(nn, np, pn, pp) {
							t.Fatalf("Of(%+v) = %s although nothing failed", c, v)
						}
					}
				}
			}
		}
	}
}

func failed(ways ...Way) bool {
	for _, w := range ways {
		for _, o := range w.all() {
			if o == Lapse || o == Loss || o == Refusal {
				return true
			}
		}
	}
	return false
}

func TestOutcomeOf(t *testing.T) {
	certain := map[probers.Reason]Outcome{
		probers.OK: Answer, probers.Refused: Refusal, probers.Reset: Refusal,
		probers.Impaired: Unknown, probers.LocalBuffer: Unknown, probers.LocalPortsExhausted: Unknown,
	}
	for _, r := range append(probers.Reasons(), probers.OK) {
		for before, lost := range map[Outcome]Outcome{
			None: Lapse, Answer: Lapse, Refusal: Lapse, Unknown: Lapse, Lapse: Loss, Loss: Loss,
		} {
			want, ok := certain[r]
			if !ok {
				want = lost
			}
			if got := OutcomeOf(probers.ICMP, r, before); got != want {
				t.Errorf("OutcomeOf(%q) after %d = %d; want %d", r, before, got, want)
			}
		}
	}
}

func TestOutcomeOfAClosedUDPPort(t *testing.T) {
	if got := OutcomeOf(probers.UDP, probers.PortUnreachable, Answer); got != Refusal {
		t.Errorf("port_unreachable to UDP = %d; want a refusal", got)
	}
	if got := OutcomeOf(probers.TCP, probers.PortUnreachable, Loss); got != Loss {
		t.Errorf("port_unreachable to TCP = %d; want a loss, a firewall rejects", got)
	}
}

// cycle reads four ways as written in the tables.
func cycle(t *testing.T, nn, np, pn, pp string) Cycle {
	t.Helper()
	return Cycle{NodeToNode: way(t, nn), NodeToPod: way(t, np), PodToNode: way(t, pn), PodToPod: way(t, pp)}
}

func way(t *testing.T, s string) Way {
	t.Helper()
	outcome := map[byte]Outcome{'+': Answer, '-': Loss, 'r': Refusal, '?': Unknown, '.': None, '~': Lapse}
	if len(s) != 2 && len(s) != 3 {
		t.Fatalf("a way is two or three characters, not %q", s)
	}
	w := Way{ICMP: outcome[s[0]], TCP: outcome[s[1]]}
	if len(s) == 3 {
		w.UDP = outcome[s[2]]
	}
	return w
}

func TestNoCycleHasAnImpossibleVerdict(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	way := func() Way {
		outcome := func() Outcome { return Outcome(random.IntN(int(Unknown) + 1)) }
		return Way{ICMP: outcome(), TCP: outcome(), UDP: outcome(), Slow: random.IntN(2) == 0}
	}
	flag := func() bool { return random.IntN(2) == 0 }
	for range 100_000 {
		c := Cycle{
			NodeToNode: way(), NodeToPod: way(), PodToNode: way(), PodToPod: way(),
			Self: flag(), PodIsolated: flag(), Expected: flag(),
		}
		c.LargeLost = !c.Self && flag() // a node searches no path to itself
		if v := Of(c); !slices.Contains(Possible(c.Self), v) {
			t.Fatalf("Of(%+v) = %s; want one of %v", c, v, Possible(c.Self))
		}
	}
}
