package main

import (
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// echoLab makes a lab's network without its programs, in which nodes and
// endpoints send packets back.
func echoLab(t *testing.T, cni string) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	l := brokenLab(t, cni)
	if err := os.MkdirAll(l.path("log"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, n := range l.Plan.Nodes {
		echo(t, n.Netns)
		echo(t, n.EndpointNetns)
	}
	return l
}

// between returns a flow from one machine to another for each address family.
func between(l *Lab, from, to string, count int, gap time.Duration, size int) []flow {
	var flows []flow
	for _, a := range addressesOf(l.Plan, to) {
		flows = append(flows, flow{from: l.Plan.Netns(from), to: a, count: count, gap: gap, size: size})
	}
	return flows
}

// want is what must be true of a flow from a machine to another.
type want struct {
	from, to string
	size     int
	is       func(sample) bool
}

const manyPackets, packetGap = 150, 3 * time.Millisecond

func rttBetween(low, high time.Duration) func(sample) bool {
	return func(s sample) bool { return s.median() >= low && s.least() <= high && kept(s) }
}

// kept is whether what was sent has arrived. A busy machine that serves the
// queue of a device in user space late may lose a few.
func kept(s sample) bool { return s.lost*10 <= s.sent }

func untouched(s sample) bool {
	return kept(s) && s.duplicates == 0 && s.overtaken == 0 && s.least() < 15*time.Millisecond
}

func lostAll(s sample) bool { return s.lost == s.sent }

// Faults of paths delay, lose, double or mix up what they say, in both address
// families, and nothing else; also when they are injected twice, and clearing
// puts all of it right.
func TestPathFaultsDoWhatTheySay(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		id    string
		wants []want
	}{
		{"queueing-delay", []want{
			{"n1", "n2", 64, rttBetween(35*ms, 150*ms)},
			{"n3", "n2-endpoint", 64, rttBetween(35*ms, 150*ms)},
			{"n2-endpoint", "n4-endpoint", 64, rttBetween(35*ms, 150*ms)},
			{"n1", "n3-endpoint", 64, untouched},
		}},
		{"one-way-delay", []want{
			{"n1", "n2", 64, rttBetween(30*ms, 100*ms)},
			{"n3-endpoint", "n2-endpoint", 1400, rttBetween(30*ms, 100*ms)},
			{"n2", "n3", 64, rttBetween(30*ms, 100*ms)},
			{"n1", "n3", 64, untouched},
			{"n2", "n2-endpoint", 64, untouched},
		}},
		{"duplicates", []want{
			{"n1", "n2", 64, func(s sample) bool { return kept(s) && s.duplicates > 10 && s.duplicates < 60 }},
			{"n3-endpoint", "n2-endpoint", 1400, func(s sample) bool { return kept(s) && s.duplicates > 10 && s.duplicates < 60 }},
			{"n1", "n3-endpoint", 64, untouched},
		}},
		{"reordering", []want{
			{"n1", "n2", 64, func(s sample) bool { return kept(s) && s.duplicates == 0 && s.overtaken > 10 }},
			{"n3-endpoint", "n2-endpoint", 1400, func(s sample) bool { return kept(s) && s.duplicates == 0 && s.overtaken > 10 }},
			{"n1", "n3-endpoint", 64, untouched},
		}},
		{"mtu-overlay", []want{
			{"n1", "n2", 1400, untouched},
			{"n1", "n2", 1401, lostAll},
			{"n3", "n2", 1500, lostAll},
			{"n2", "n3", 1500, lostAll},
			{"n1-endpoint", "n2-endpoint", 1300, untouched},
			{"n1-endpoint", "n2-endpoint", 1430, lostAll},
			{"n1", "n3", 1500, untouched},
			{"n1-endpoint", "n3-endpoint", 1430, untouched},
		}},
		{"rack-partition", []want{
			{"n1", "n3", 64, lostAll},
			{"n4-endpoint", "n2-endpoint", 64, lostAll},
			{"n1", "n2", 64, untouched},
			{"n3-endpoint", "n4-endpoint", 64, untouched},
			{"mon", "n2", 64, untouched},
			{"mon", "n3", 64, untouched},
		}},
	} {
		for _, cni := range []string{cniVXLAN, cniRouted} {
			t.Run(tt.id+" "+cni, func(t *testing.T) {
				l := echoLab(t, cni)
				check := func(when string, healthy bool) {
					var flows sync.WaitGroup
					for _, w := range tt.wants {
						if cni == cniRouted && w.size == 1430 {
							continue // without a tunnel's header it fits
						}
						if healthy {
							w.is = untouched
						}
						for _, f := range between(l, w.from, w.to, manyPackets, packetGap, w.size) {
							flows.Go(func() {
								if s := measure(t, f); !w.is(s) {
									t.Errorf("%s, %s to %s with %d bytes: %v", when, w.from, f.to, w.size, s)
								}
							})
						}
					}
					flows.Wait()
				}
				warm(t, l)
				check("before", true)
				for range 2 {
					if err := l.injectFault(t.Context(), tt.id, ""); err != nil {
						t.Fatal(err)
					}
				}
				check("broken", false)
				for range 2 {
					if err := l.clearFaults(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				check("mended", true)
			})
		}
	}
}

// warm lets every node and endpoint talk to every other one, so that
// neighbours are known.
func warm(t *testing.T, l *Lab) {
	t.Helper()
	for _, name := range l.Plan.Namespaces() {
		if !isRouter(l.Plan, name) {
			if err := pingAll(name, nodeAddresses(l.Plan)); err != nil {
				t.Fatalf("from %s: %v", name, err)
			}
		}
	}
}

// Of many flows over both spines, only those over the lossy link lose, and
// about as much as they should.
func TestFabricLossIsOnFlowsOverOneLink(t *testing.T) {
	l := echoLab(t, cniVXLAN)
	warm(t, l)
	if err := l.injectFault(t.Context(), "fabric-loss", ""); err != nil {
		t.Fatal(err)
	}
	for _, to := range addressesOf(l.Plan, "n3") {
		samples := make([]sample, 24)
		var flows sync.WaitGroup
		for i := range samples {
			flows.Go(func() {
				samples[i] = measure(t, flow{l.Plan.Netns("n1"), to, 100, 10 * time.Millisecond, 64, 40000 + i})
			})
		}
		flows.Wait()
		clean, lossy, lost, sent := 0, 0, 0, 0
		for _, s := range samples {
			if s.lost <= 2 { // 10 % of 100 are less than 3 once in 500 times
				clean++
				continue
			}
			lossy, lost, sent = lossy+1, lost+s.lost, sent+s.sent
		}
		percent := 100 * float64(lost) / float64(max(1, sent))
		t.Logf("n1 to %s: %d flows lose %.1f %%, %d lose nothing", to, lossy, percent, clean)
		if clean == 0 || lossy == 0 || percent < 6 || percent > 15 {
			t.Errorf("n1 to %s: %d flows lose %.1f %%, %d lose nothing; want 10 %% on some", to, lossy, percent, clean)
		}
	}
	for _, f := range between(l, "n1", "n2", 200, time.Millisecond, 64) {
		if s := measure(t, f); !untouched(s) {
			t.Errorf("in the rack, to %s: %v", f.to, s)
		}
	}
}

// A tunnel with a smaller MTU than its peers' says so, and what fits passes.
func TestMTUMismatchIsToldAndWorks(t *testing.T) {
	l := echoLab(t, cniVXLAN)
	warm(t, l)
	if err := l.injectFault(t.Context(), "mtu-mismatch", ""); err != nil {
		t.Fatal(err)
	}
	for _, w := range []want{
		{"n2-endpoint", "n1-endpoint", 1330, untouched},
		{"n2-endpoint", "n1-endpoint", 1430, lostAll},                                   // this sender does not listen
		{"n1-endpoint", "n2-endpoint", 1430, func(s sample) bool { return s.lost < 5 }}, // the replies' sender does
		{"n1-endpoint", "n3-endpoint", 1430, untouched},
		{"n1", "n2", 1500, untouched},
	} {
		for _, f := range between(l, w.from, w.to, 20, packetGap, w.size) {
			if s := measure(t, f); !w.is(s) {
				t.Errorf("%s to %s with %d bytes: %v", w.from, f.to, w.size, s)
			}
		}
	}
	if err := l.clearFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range between(l, "n1-endpoint", "n2-endpoint", 20, packetGap, 1430) {
		if s := measure(t, f); !untouched(s) {
			t.Errorf("mended, to %s: %v", f.to, s)
		}
	}
}

// Hops that answer little or nothing still forward everything.
func TestQuietHopsForward(t *testing.T) {
	l := echoLab(t, cniVXLAN)
	warm(t, l)
	const count, gap = 50, 10 * time.Millisecond
	answers := func(hops int, to netip.Addr) map[netip.Addr]int {
		return expired(t, l.Plan.Netns("n1"), to, hops, count, gap)
	}
	from := func(all map[netip.Addr]int, router string) int {
		sum := 0
		for _, r := range meshRouters(l.Plan) {
			for _, a := range r.Addresses {
				if r.Name == router {
					sum += all[a]
				}
			}
		}
		return sum
	}
	everybody := slices.Concat(addressesOf(l.Plan, "n3"), addressesOf(l.Plan, "n4"))
	for _, to := range everybody {
		if all := answers(2, to); from(all, "spine1")+from(all, "spine2") != count {
			t.Errorf("healthy spines answer %v; want all of %d", all, count)
		}
	}
	if err := l.injectFault(t.Context(), "icmp-rate-limited-hop", ""); err != nil {
		t.Fatal(err)
	}
	if err := l.injectFault(t.Context(), "silent-hop", ""); err != nil {
		t.Fatal(err)
	}
	for _, to := range everybody {
		spines := answers(2, to)
		t.Logf("spines on the way to %s answer %v", to, spines)
		if n := from(spines, "spine2"); n > 2 { // in the second that it takes
			t.Errorf("spine2 answers %d times on the way to %s; want one a second", n, to)
		}
		if n := from(answers(3, to), "tor2"); n > 0 {
			t.Errorf("tor2 answers %d times on the way to %s; want never", n, to)
		}
		if s := measure(t, flow{l.Plan.Netns("n1"), to, manyPackets, packetGap, 1500, 0}); !untouched(s) {
			t.Errorf("to %s behind them: %v", to, s)
		}
	}
	if err := l.clearFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, to := range everybody {
		if n := from(answers(3, to), "tor2"); n != count {
			t.Errorf("tor2 mended answers %d times; want %d", n, count)
		}
	}
}
