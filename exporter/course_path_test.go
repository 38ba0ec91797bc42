package main

import (
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// trail is a course to n2 by tor1 and spine1 or spine2, in time that is not
// real, and what it did.
type trail struct {
	*pathCourse
	begin  time.Time
	turn   time.Duration
	cycles []time.Duration // when each began
	sent   []int           // probes, by turn
	found  []time.Duration // when loss was published
	names  []string        // of the hops that were
	gather prometheus.Gatherer

	missing []missing
}

// missing is a probe that is lost, which is known later.
type missing struct {
	until time.Time
	tag   uint64
}

// fate says whether a probe is lost, so long after the beginning.
type fate func(at time.Duration, p probers.Probe) bool

// hops of the trail. Even flows go by spine1, odd ones by spine2.
const (
	torTTL = iota + 1
	spineTTL
	endTTL
)

func bySpine1(p probers.Probe) bool { return p.Flow%2 == 0 && p.TTL >= spineTTL }

func trailAddress(p probers.Probe) netip.Addr {
	switch p.TTL {
	case torTTL:
		return netip.MustParseAddr("10.0.0.1")
	case spineTTL:
		return netip.AddrFrom4([4]byte{10, 0, 1, byte(1 + p.Flow%2)})
	}
	return p.To.Addr()
}

// newTrail returns a trail. It is for a synctest bubble.
func newTrail(vantageName string, cfg config.PathProbe) *trail {
	reg := prometheus.NewRegistry()
	b := newTestBoard()
	v := newVantage(vantageName, nil, slog.New(slog.DiscardHandler), metrics.NewProber(reg).Vantage(vantageName), func() {})
	names := func(a netip.Addr) string { return a.String() }
	k := courseKey{probe: "path", vantage: vantageName, peer: other, addr: netip.MustParseAddrPort("10.0.9.2:9798"), config: cfg}
	c := newPathCourse(k, cfg, probers.UDP, pathOutside{metrics.NewPaths(reg).Hops(vantageName, other.node, other.family), v, b, names})
	return &trail{pathCourse: c, begin: time.Now(), turn: k.scheduled(c).Interval, gather: reg}
}

// walk gives the course turns for so long. Answers come at once, and what is
// lost is known when its time is over.
func (w *trail) walk(t *testing.T, long time.Duration, lost fate) {
	t.Helper()
	for until := time.Now().Add(long); time.Now().Before(until); time.Sleep(w.turn) {
		for len(w.missing) > 0 && !w.missing[0].until.After(time.Now()) {
			w.Result(probers.Result{Tag: w.missing[0].tag, Event: probers.Done, Reason: probers.Timeout})
			w.missing = w.missing[1:]
		}
		probes := w.Turn(nil)
		w.sent = append(w.sent, len(probes))
		at := time.Since(w.begin)
		if w.pathCourse.turn == 1 {
			w.cycles = append(w.cycles, at)
		}
		for _, p := range probes {
			switch from := trailAddress(p); {
			case lost(at, p):
				w.missing = append(w.missing, missing{time.Now().Add(p.Timeout), p.Tag})
			case p.TTL < endTTL:
				w.Result(probers.Result{Tag: p.Tag, Event: probers.Done, Reason: probers.TTLExceeded, ICMP: probers.ICMPError{From: from, Type: 11}, RTT: time.Millisecond})
			default:
				w.Result(probers.Result{Tag: p.Tag, Event: probers.Done, From: from, RTT: time.Millisecond})
			}
		}
		if name, ok := lossBegins(t, w.gather); ok {
			w.found, w.names = append(w.found, at), append(w.names, name)
		}
	}
}

// lossBegins returns the name of the hop at which loss is said to begin.
func lossBegins(t *testing.T, g prometheus.Gatherer) (string, bool) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "podnet_path_loss_begins_hop" {
			continue
		}
		for _, l := range f.GetMetric()[0].GetLabel() {
			if l.GetName() == "name" {
				return l.GetValue(), true
			}
		}
	}
	return "", false
}

// within returns how many of the moments are in [from, to).
func within(moments []time.Duration, from, to time.Duration) int {
	return len(slices.DeleteFunc(slices.Clone(moments), func(m time.Duration) bool { return m < from || m >= to }))
}

func productionPath() config.PathProbe { return config.Default().Probes.Path }

func TestAPathIsMeasuredFasterWhileItLosesPackets(t *testing.T) {
	const fault = 60 * time.Second
	once := func(is func(p probers.Probe) bool) fate {
		done := false
		return func(at time.Duration, p probers.Probe) bool {
			hit := !done && at >= fault && is(p)
			done = done || hit
			return hit
		}
	}
	always := func(is func(p probers.Probe) bool) fate {
		return func(at time.Duration, p probers.Probe) bool { return at >= fault && is(p) }
	}
	end := func(p probers.Probe) bool { return p.TTL == endTTL }
	tests := []struct {
		name    string
		vantage string
		lost    fate
		cycles  [2]int // least and most of the two minutes after the fault
	}{
		{"nothing is lost", vantageNode, always(func(probers.Probe) bool { return false }), [2]int{12, 12}},
		{"one packet is lost", vantageNode, once(end), [2]int{38, 40}},
		{"one way loses everything", vantageNode, always(bySpine1), [2]int{105, 120}},
		{"a hop answers nothing itself", vantageNode, always(func(p probers.Probe) bool { return p.TTL == spineTTL }), [2]int{12, 12}},
		{"a hop limits its answers", vantageNode, always(func(p probers.Probe) bool { return p.TTL == torTTL && p.Flow > 0 }), [2]int{12, 12}},
		{"nothing is answered any more", vantageNode, always(end), [2]int{12, 18}},
		{"one packet between pods is lost", vantagePod, once(end), [2]int{12, 12}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTrail(tt.vantage, productionPath())
				w.walk(t, fault+2*time.Minute, tt.lost)
				if got := within(w.cycles, fault, fault+2*time.Minute); got < tt.cycles[0] || got > tt.cycles[1] {
					t.Errorf("%d cycles in the two minutes after the fault; want %d to %d", got, tt.cycles[0], tt.cycles[1])
				}
				if most := slices.Max(w.sent[int(fault/w.turn)/2:]); most > 4*endTTL {
					t.Errorf("%d probes in one turn of %v; a cycle has %d", most, w.turn, 4*endTTL)
				}
			})
		})
	}
}

// The probes of the mesh come more often than those of paths, and are the
// first to be lost.
func TestAPathIsMeasuredFasterWhenOtherProbesAreLost(t *testing.T) {
	icmp, tcp := place{vantageNode, kindNode, probers.ICMP}, place{vantageNode, kindNode, probers.TCP}
	tests := []struct {
		name string
		note func(b *board)
		want int // cycles in the next ten seconds
	}{
		{"all are answered", func(*board) {}, 1},
		{"one is lost", func(b *board) { b.note(b.peer(other), icmp, probers.Timeout, 0, time.Now(), time.Second) }, 10},
		{"one to the pod is lost", func(b *board) {
			b.note(b.peer(other), place{vantageNode, kindPod, probers.ICMP}, probers.Timeout, 0, time.Now(), time.Second)
		}, 1},
		{"one to another node is lost", func(b *board) { b.note(b.peer(self), icmp, probers.Timeout, 0, time.Now(), time.Second) }, 1},
		{"all are lost", func(b *board) {
			b.note(b.peer(other), icmp, probers.Timeout, 0, time.Now(), time.Second)
			b.note(b.peer(other), tcp, probers.Timeout, 0, time.Now(), time.Second)
		}, 1},
		{"one is spoilt by the prober", func(b *board) { b.note(b.peer(other), icmp, probers.Impaired, 0, time.Now(), time.Second) }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTrail(vantageNode, productionPath())
				none := func(time.Duration, probers.Probe) bool { return false }
				w.walk(t, time.Minute, none)
				for _, at := range []place{icmp, tcp} {
					w.board.note(w.board.peer(other), at, probers.OK, time.Millisecond, time.Now(), time.Minute)
				}
				tt.note(w.board)
				w.walk(t, 10*time.Second, none)
				if got := within(w.cycles, time.Minute, 70*time.Second); got != tt.want {
					t.Errorf("%d cycles in ten seconds; want %d", got, tt.want)
				}
			})
		})
	}
}

func TestNoPathIsMeasuredMoreOftenThanConfigured(t *testing.T) {
	lost := func(at time.Duration, p probers.Probe) bool {
		return at > time.Minute && bySpine1(p) && p.TTL == endTTL
	}
	for _, cfg := range []config.PathProbe{
		{Interval: 10 * time.Second, IntervalOnLoss: time.Second},
		{Interval: 10 * time.Second, IntervalOnLoss: 1500 * time.Millisecond},
		{Interval: 10 * time.Second, IntervalOnLoss: 100 * time.Millisecond},
		{Interval: 10 * time.Second, IntervalOnLoss: time.Minute},
		{Interval: time.Second, IntervalOnLoss: time.Second},
		{Interval: 7 * time.Second, IntervalOnLoss: 3 * time.Second},
	} {
		cfg.Timeout, cfg.Flows, cfg.MaxTTL = 800*time.Millisecond, 4, 16
		synctest.Test(t, func(t *testing.T) {
			w := newTrail(vantageNode, cfg)
			const warm, long = 2 * time.Minute, 3 * time.Minute
			w.walk(t, warm+long, lost)
			most := min(cfg.Interval, cfg.IntervalOnLoss)
			cycles := within(w.cycles, warm, warm+long)
			if limit := int(long/most) + 1; cycles > limit || cycles < limit/3 {
				t.Errorf("%d cycles in %v at %v and %v on loss; want %d at most, and a third of it at least", cycles, long, cfg.Interval, cfg.IntervalOnLoss, limit)
			}
			sent := 0
			for _, n := range w.sent[int(warm/w.turn):] {
				sent += n
			}
			if limit := (int(long/most) + 1) * 4 * endTTL; sent > limit {
				t.Errorf("%d probes in %v at %v and %v on loss; want %d at most", sent, long, cfg.Interval, cfg.IntervalOnLoss, limit)
			}
		})
	}
}

func TestLossBeginsIsPublishedOnceItLasts(t *testing.T) {
	const fault = 60 * time.Second
	spine1 := "10.0.1.1"
	tests := []struct {
		name  string
		lost  fate
		found bool          // in the four minutes after the fault
		after time.Duration // not before
	}{
		{"one way loses everything", func(at time.Duration, p probers.Probe) bool { return at >= fault && bySpine1(p) }, true, 0},
		{"one way loses everything for a second", func(at time.Duration, p probers.Probe) bool {
			return at >= fault && at <= fault+3*time.Second && bySpine1(p)
		}, false, 0},
		{"nothing is answered any more", func(at time.Duration, p probers.Probe) bool { return at >= fault && p.TTL > torTTL }, false, 0},
		{"a hop answers every other probe", func(at time.Duration, p probers.Probe) bool {
			return at >= fault && p.TTL == spineTTL && int(at/time.Second)%2 == 0
		}, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTrail(vantageNode, productionPath())
				w.walk(t, fault+4*time.Minute, tt.lost)
				if found := len(w.found) > 0; found != tt.found {
					t.Fatalf("found %v at %v; want %v", w.names, w.found, tt.found)
				}
				if slices.ContainsFunc(w.names, func(n string) bool { return n != spine1 }) {
					t.Errorf("found %v; want %s only", w.names, spine1)
				}
			})
		})
	}
}

// What PodNetUnderlayLoss needs of an agent, by chance as it is: how soon a loss
// of a tenth on one of two ways is found, on one path and with the default
// configuration. The best of several paths is far sooner.
func TestALossOfATenthIsFoundWithinSeconds(t *testing.T) {
	const fault, runs = 60 * time.Second, 60
	var took []time.Duration
	for run := range runs {
		synctest.Test(t, func(t *testing.T) {
			w := newTrail(vantageNode, productionPath())
			random := rand.New(rand.NewPCG(1, uint64(run)))
			w.walk(t, fault, func(time.Duration, probers.Probe) bool { return false })
			for time.Since(w.begin) < fault+5*time.Minute && len(w.found) == 0 {
				// ICMP, TCP and UDP, every second.
				for i, kind := range []probers.Kind{probers.ICMP, probers.TCP, probers.UDP} {
					reason := probers.OK
					if random.IntN(2) == i%2 && random.IntN(10) == 0 {
						reason = probers.Timeout
					}
					w.board.note(w.board.peer(other), place{vantageNode, kindNode, kind}, reason, time.Millisecond, time.Now(), 3*time.Second)
				}
				w.walk(t, w.turn, func(_ time.Duration, p probers.Probe) bool { return bySpine1(p) && random.IntN(10) == 0 })
			}
			took = append(took, time.Since(w.begin)-fault)
		})
	}
	slices.Sort(took)
	t.Logf("half within %v, nine of ten within %v, all within %v", took[runs/2], took[runs*9/10], took[runs-1])
	if took[runs/2] > 20*time.Second || took[runs*9/10] > 30*time.Second {
		t.Errorf("half within %v, nine of ten within %v; want 20s and 30s", took[runs/2], took[runs*9/10])
	}
}
