package schedule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/moment"
	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// echo is an engine whose every probe is answered at once.
type echo struct {
	mu    sync.Mutex
	sent  []probers.Probe
	ready []probers.Result
	wake  chan struct{}
	err   error // what Err returns
	batch time.Duration
	late  time.Duration // that Poll returns after its time
}

func newEcho() *echo { return &echo{wake: make(chan struct{}, 1)} }

func (e *echo) Send(p probers.Probe) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent = append(e.sent, p)
	e.ready = append(e.ready, probers.Result{Tag: p.Tag, Event: probers.Done, RTT: time.Millisecond})
}

func (e *echo) Poll(until time.Time, out []probers.Result) []probers.Result {
	e.mu.Lock()
	ready := e.ready
	e.ready = nil
	e.mu.Unlock()
	if len(ready) > 0 {
		return append(out, ready...)
	}
	select {
	case <-time.After(time.Until(until) + e.late):
	case <-e.wake:
	}
	return out
}

func (e *echo) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *echo) Stats() probers.Stats                     { return probers.Stats{} }
func (e *echo) Err() error                               { return e.err }
func (e *echo) RouteMTU(netip.Addr) (mtu int, err error) { return 1500, nil }
func (e *echo) SetBatch(d time.Duration)                 { e.batch = d }
func (e *echo) Close() error                             { return nil }

// tally counts what its target is told.
type tally struct {
	mu            sync.Mutex
	sent, results int
	delay         time.Duration // of the last probe
	flows         []uint64      // of the results
	calm          bool
}

func (c *tally) Calm(time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calm
}

func (c *tally) Sent(_ time.Time, delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	c.delay = delay
}

func (c *tally) Result(r probers.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results++
	c.flows = append(c.flows, r.Tag)
}

func (c *tally) counts() (sent, results int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent, c.results
}

// start runs a round with the engine until the test ends. It leaves out
// entering a namespace, which needs privileges and real threads.
func start(t *testing.T, l *Loop, e *echo) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	l.begin(e)
	go func() {
		defer close(done)
		newRound(e, time.Now()).run(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		e.Wake()
		<-done
	})
}

func newTestLoop() *Loop {
	return NewLoop(nil, func(Health) {})
}

func TestLoopProbesEveryTargetOncePerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := newTestLoop(), newEcho()
		a, b := &tally{}, &tally{}
		l.Set("mesh", []Target{{Key: "a", Interval: time.Second, Sink: a}, {Key: "b", Interval: 2 * time.Second, Sink: b}})
		start(t, l, e)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if sent, results := a.counts(); sent != 10 || results != 10 {
			t.Errorf("a: sent %d, results %d in 10 s; want 10 of each", sent, results)
		}
		if sent, results := b.counts(); sent != 5 || results != 5 {
			t.Errorf("b: sent %d, results %d in 10 s; want 5 of each", sent, results)
		}
	})
}

// A batch is as long as the targets allow, and time spent waiting for it is no
// delay.
func TestLoopBatchesWhatItSends(t *testing.T) {
	for _, tc := range []struct {
		interval, batch, late, delay time.Duration
	}{
		{interval: time.Second, batch: moment.Apart},
		{interval: 100 * time.Millisecond, batch: 50 * time.Millisecond},
		{interval: 10 * time.Millisecond, batch: 5 * time.Millisecond},
		{interval: time.Second, batch: moment.Apart, late: moment.Apart},
		{interval: time.Second, batch: moment.Apart, late: moment.Apart + 100*time.Millisecond, delay: 100 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			l, e, sink := newTestLoop(), newEcho(), &tally{}
			e.late = tc.late
			l.Set("mesh", []Target{{Key: "a", Interval: tc.interval, Sink: sink}, {Key: "slow", Interval: time.Minute, Sink: &tally{}}})
			start(t, l, e)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			sink.mu.Lock()
			defer sink.mu.Unlock()
			if e.batch != tc.batch || sink.sent == 0 || sink.delay != tc.delay {
				t.Errorf("interval %s, %s late: batch %s, delay %s, sent %d; want %s, %s, some",
					tc.interval, tc.late, e.batch, sink.delay, sink.sent, tc.batch, tc.delay)
			}
		})
	}
}

func TestLoopTakesUpNewTargetsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := newTestLoop(), newEcho()
		start(t, l, e)
		time.Sleep(10 * time.Second) // idle, in a long poll
		a := &tally{}
		l.Set("mesh", []Target{{Key: "a", Interval: time.Second, Sink: a}})
		time.Sleep(time.Second)
		synctest.Wait()
		if sent, _ := a.counts(); sent != 1 {
			t.Errorf("sent %d in the first second after Set; want 1", sent)
		}
	})
}

func TestLoopLeavesUnchangedTargetsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := newTestLoop(), newEcho()
		same := Target{Key: "a", Interval: time.Second, Sink: &tally{}}
		l.Set("mesh", []Target{same})
		start(t, l, e)
		time.Sleep(3 * time.Second)
		replacement := &tally{}
		same.Sink = replacement
		l.Set("mesh", []Target{same, {Key: "b", Interval: time.Second, Sink: &tally{}}})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		tags := map[uint64]int{}
		for _, p := range e.sent {
			tags[p.Tag>>ownBits]++
		}
		if tags[1] != 6 {
			t.Errorf("probes by tag: %v; want 6 of the first target, whose tag stays", tags)
		}
		if sent, _ := replacement.counts(); sent != 3 {
			t.Errorf("the new sink was told of %d probes; want 3", sent)
		}
	})
}

func TestLoopKeepsTheGroupsOfTargetsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := newTestLoop(), newEcho()
		always, guest := &tally{}, &tally{}
		l.Set("mesh", []Target{{Key: "a", Interval: time.Second, Sink: always}})
		l.Set("visits", []Target{{Key: "b", Interval: 100 * time.Millisecond, Sink: guest}})
		start(t, l, e)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if e.batch != 50*time.Millisecond {
			t.Errorf("worked every %v; want half the guest's interval", e.batch)
		}
		l.Set("visits", nil)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if sent, _ := always.counts(); sent != 6 {
			t.Errorf("sent %d of the target that stayed in 6 s; want 6", sent)
		}
		if sent, results := guest.counts(); sent != 30 || results != 30 {
			t.Errorf("sent %d of the target that left after 3 s, %d results; want 30", sent, results)
		}
		if e.batch != moment.Apart {
			t.Errorf("worked every %v without the guest; want %v", e.batch, moment.Apart)
		}
	})
}

func TestLoopLeavesOutSpareTurnsWhileAllIsCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := newTestLoop(), newEcho()
		sinks := make([]*tally, 100)
		var targets []Target
		for i := range sinks {
			sinks[i] = &tally{calm: true}
			targets = append(targets, Target{Key: fmt.Sprint("target ", i), Interval: time.Second, Spare: 2, Sink: sinks[i]})
		}
		l.Set("mesh", targets)
		start(t, l, e)
		var before int
		for range 3 { // one turn of all
			time.Sleep(time.Second)
			synctest.Wait()
			now := 0
			for _, s := range sinks {
				sent, _ := s.counts()
				now += sent
			}
			if sent := now - before; sent < 20 || sent > 46 {
				t.Errorf("%d of 100 targets were probed in a turn; want about a third in each", sent)
			}
			before = now
		}
		restless := sinks[7]
		restless.mu.Lock()
		restless.calm = false
		restless.mu.Unlock()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		for i, s := range sinks {
			sent, results := s.counts()
			if want := 3; s != restless && (sent != want || results != want) {
				t.Errorf("target %d: sent %d, results %d in nine turns; want %d of each", i, sent, results, want)
			}
		}
		if sent, _ := restless.counts(); sent != 1+6 {
			t.Errorf("sent %d of the target that was calm for three turns and then not for six; want 7", sent)
		}
	})
}

func TestLoopTakesTurnsInTheFlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := newTestLoop(), newEcho()
		c := &tally{}
		l.Set("mesh", []Target{{Key: "a", Interval: time.Second, Flows: 3, Sink: c}})
		start(t, l, e)
		time.Sleep(7 * time.Second)
		synctest.Wait()
		var flows []uint16
		for _, p := range e.sent {
			flows = append(flows, p.Flow)
		}
		if want := []uint16{0, 1, 2, 0, 1, 2, 0}; !slices.Equal(flows, want) {
			t.Errorf("flows %v; want %v", flows, want)
		}
		if want := []uint64{0, 1, 2, 0, 1, 2, 0}; !slices.Equal(c.flows, want) {
			t.Errorf("the sink was told of flows %v; want %v", c.flows, want)
		}
	})
}

func TestLoopSendsATrainInOneFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := newTestLoop(), newEcho()
		c := &tally{}
		l.Set("mesh", []Target{{Key: "a", Interval: time.Second, Flows: 2, Train: 2, Sink: c}})
		start(t, l, e)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if want := []uint64{0, 0, 1, 1}; !slices.Equal(c.flows, want) {
			t.Errorf("results of flows %v; want %v", c.flows, want)
		}
		if c.sent != 4 {
			t.Errorf("told of %d probes sent; want 4", c.sent)
		}
	})
}

func TestLoopSendsEverySecondTrainWhileAllIsCalm(t *testing.T) {
	for _, flows := range []uint16{1, 3, 4} {
		synctest.Test(t, func(t *testing.T) {
			l, e := newTestLoop(), newEcho()
			calm, restless := &tally{calm: true}, &tally{}
			target := Target{Interval: time.Second, Spare: 1, Train: 2, Flows: flows}
			one, other := target, target
			one.Key, one.Sink, other.Key, other.Sink = "a", calm, "b", restless
			l.Set("mesh", []Target{one, other})
			start(t, l, e)
			turns := 4 * int(flows) // half of them are spare: each flow is taken twice
			time.Sleep(time.Duration(turns) * time.Second)
			synctest.Wait()
			hits := make([]int, flows)
			for _, flow := range calm.flows {
				hits[flow]++
			}
			for flow, n := range hits {
				if n != 1+2 {
					t.Errorf("flow %d of %d: sent %d in two turns of the calm target; want one, and a train of two", flow, flows, n)
				}
			}
			if want := 2 * turns; restless.sent != want {
				t.Errorf("sent %d of the other in %d turns; want %d", restless.sent, turns, want)
			}
		})
	}
}

// Whatever turns are spared, every flow is probed as often as another.
func TestATargetTakesItsTurnsInAllFlows(t *testing.T) {
	for _, flows := range []uint16{1, 2, 3, 4, 16} {
		for spare := range 4 {
			target := Target{Key: "a", Interval: time.Second, Flows: flows, Spare: spare}
			round := int(flows) * (spare + 1)
			for taken := range spare + 2 { // the last: all of them
				hits := make([]int, flows)
				for turn := range round {
					if due := epoch.Add(time.Duration(turn)*time.Second + time.Millisecond); taken > spare || !target.spares(time.Duration(taken), epoch, due) {
						hits[target.flow(epoch, due)]++
					}
				}
				want := 1
				if taken > spare {
					want = spare + 1
				}
				for flow, n := range hits {
					if n != want {
						t.Errorf("%d flows, one of %d turns (%d): flow %d was probed %d times in %d turns; want %d", flows, spare+1, taken, flow, n, round, want)
					}
				}
			}
		}
	}
}

// countdown is a course of two probes in the first turn, one in the second,
// and none after that.
type countdown struct{ left int }

func (c *countdown) Turn(e Engine) []probers.Probe {
	var probes []probers.Probe
	for i := range c.left {
		probes = append(probes, probers.Probe{Tag: uint64(100*c.left + i)})
	}
	c.left = max(c.left-1, 0)
	return probes
}

func TestLoopFollowsACourse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := newTestLoop(), newEcho()
		c := &tally{}
		l.Set("mesh", []Target{{Key: "a", Interval: time.Second, Course: &countdown{left: 2}, Sink: c}})
		start(t, l, e)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if want := []uint64{200, 201, 100}; !slices.Equal(c.flows, want) {
			t.Errorf("results with tags %v; want %v, the course's own", c.flows, want)
		}
	})
}

func TestLoopIgnoresRepliesToTargetsThatAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := newTestLoop(), newEcho()
		gone := &tally{}
		l.Set("mesh", []Target{{Key: "a", Interval: time.Second, Sink: gone}})
		start(t, l, e)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		before, _ := gone.counts()
		l.Set("mesh", nil)
		synctest.Wait()
		e.mu.Lock()
		e.ready = append(e.ready, probers.Result{Tag: 1 << ownBits, Event: probers.Late})
		e.mu.Unlock()
		e.Wake()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if sent, results := gone.counts(); sent != before || results != before {
			t.Errorf("sent %d, results %d after the target was removed; want %d of each", sent, results, before)
		}
	})
}

func TestLoopSaysWhichNamespaceHasNoEngine(t *testing.T) {
	ns, err := netns.Open("")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	broken := errors.New("no sockets today")
	l := NewLoop(func() (Engine, error) { return nil, broken }, func(Health) {})
	ended := make(chan error)
	go func() { ended <- l.Run(t.Context(), ns) }()
	err = <-ended
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("needs root, to enter a network namespace")
	}
	if !errors.Is(err, broken) {
		t.Errorf("Run() = %v; want %v", err, broken)
	}
}

func TestLoopSaysWhyProbesCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEcho()
		e.err = errors.New("no raw socket")
		said := make(chan error, 100)
		l := NewLoop(nil, func(h Health) { said <- h.Err })
		l.Set("mesh", []Target{{Key: "a", Interval: time.Second, Sink: &tally{}}})
		start(t, l, e)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := <-said; !errors.Is(got, e.err) {
			t.Errorf("Health.Err = %v; want %v", got, e.err)
		}
	})
}
