package schedule

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/moment"
	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// idle is how long a loop without targets sleeps when nobody wakes it.
const idle = time.Minute

// Target is one probe, to be repeated.
type Target struct {
	Key      string        // identity: an equal key with equal fields is the same target, and is left alone
	Interval time.Duration // from one turn to the next, in each of which it is probed
	Spare    int           // turns after each one that are left out as long as the Sink is calm
	Sink     Sink          // who is told; not part of the comparison
	Probe    probers.Probe // what to send; its Tag and Flow are the loop's
	Flows    uint16        // how many flows the probes take turns in; 0 is one
	Train    int           // probes sent back to back, in one flow; 0 is one

	// Course makes the probes instead, for a measurement that takes several
	// different ones. It is part of the comparison: another course begins anew.
	Course Course
}

// Spares reports whether the turn that is due then is one of those that are left
// out while all is calm, if the turns are counted from epoch. Which of them are
// taken follows from the target's key alone, so that half of the targets that
// leave out every second turn have theirs when the others rest.
func (t Target) Spares(epoch, due time.Time) bool { return t.spares(t.taken(), epoch, due) }

// taken returns which of a target's turns it takes, the first being 0.
func (t Target) taken() time.Duration {
	if t.Spare <= 0 {
		return 0
	}
	return Offset(t.Key, time.Duration(t.Spare+1)*t.Interval) / t.Interval
}

func (t Target) spares(taken time.Duration, epoch, due time.Time) bool {
	return t.Spare > 0 && due.Sub(epoch)/t.Interval%time.Duration(t.Spare+1) != taken
}

// flow returns the flow of the turn that is due then, if the turns are counted
// from epoch: it goes through all of them in as many turns, and in as many taken
// ones if all that are spare are left out. All targets have the same at a time, so that
// their probes leave by few sockets, and few are to be read.
func (t Target) flow(epoch, due time.Time) uint16 {
	turn, every := uint64(due.Sub(epoch)/t.Interval), uint64(t.Spare+1)
	flows := uint64(max(t.Flows, 1))
	return uint16((turn/every + turn%every*flows/every) % flows)
}

// first returns how many turns later than others a target has its trains, 0 or 1.
func (t Target) first() uint64 { return uint64(Offset(t.Key, 2)) }

// single reports whether the turn that is due then is one of those in which one
// probe takes the place of a train while all is calm: of a target that has spare
// turns every second one that is taken, and of those of each flow too.
func (t Target) single(first uint64, epoch, due time.Time) bool {
	if t.Spare <= 0 || t.Train <= 1 {
		return false
	}
	taken := uint64(due.Sub(epoch)/t.Interval) / uint64(t.Spare+1)
	if flows := uint64(max(t.Flows, 1)); flows%2 == 0 {
		taken += taken / flows // else a flow would always have its turn in even ones, or in odd
	}
	return (first+taken)%2 == 1
}

// Course is a measurement that decides from turn to turn what to send.
type Course interface {
	// Turn returns the probes to send now. The lower 32 bits of their Tags
	// come back in the Results. It is called from the loop's goroutine.
	Turn(e Engine) []probers.Probe
}

// same reports whether two targets are probed alike.
func (t Target) same(o Target) bool {
	t.Probe.Tag, t.Probe.Flow, o.Probe.Tag, o.Probe.Flow = 0, 0, 0, 0
	return t.Course == o.Course && t.Interval == o.Interval && t.Spare == o.Spare && t.Flows == o.Flows && t.Train == o.Train && t.Probe == o.Probe
}

// Sink is told what happens to one target's probes. It is called from the
// loop's goroutine and must not block.
type Sink interface {
	// Calm reports whether spare turns, and of a train all but one, are to be left
	// out. It is asked at each of them.
	Calm(now time.Time) bool
	// Sent says that a probe was sent with those of a moment, and how much later
	// than they should have been.
	Sent(now time.Time, delay time.Duration)
	// Result gives one event of a probe. Its Tag is the probe's flow, or what
	// the Course gave it.
	Result(probers.Result)
}

// Engine is what the loop needs of [probers.Engine].
type Engine interface {
	Send(probers.Probe)
	Poll(until time.Time, out []probers.Result) []probers.Result
	Wake()
	Stats() probers.Stats
	Err() error
	RouteMTU(to netip.Addr) (mtu int, err error)
	SetBatch(time.Duration)
	Close() error
}

// A Loop probes from one network namespace: one goroutine and one set of
// shared sockets, however many targets there are.
type Loop struct {
	newEngine func() (Engine, error)
	health    func(Health)

	mu      sync.Mutex
	wanted  map[string][]Target // by group
	changed map[string]bool     // groups
	engine  Engine              // nil unless running
}

// Health is what the loop says about itself after each round.
type Health struct {
	Skipped uint64        // turns that were skipped so far
	Stats   probers.Stats // of the engine
	Err     error         // why the engine last could not send a probe; nil: it always could
}

// NewLoop returns a Loop whose engines are made by newEngine, on a thread that
// has entered the namespace. health is told how the loop keeps up, and
// must not block.
func NewLoop(newEngine func() (Engine, error), health func(Health)) *Loop {
	return &Loop{newEngine: newEngine, health: health, wanted: make(map[string][]Target), changed: make(map[string]bool)}
}

// Set replaces the targets of a group; a key is in one group only. Those that
// were in it before, with the same interval and probe, keep their place in time.
// The list belongs to the Loop from then on.
func (l *Loop) Set(group string, targets []Target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted[group], l.changed[group] = targets, true
	if l.engine != nil {
		l.engine.Wake()
	}
}

// Run probes from namespace ns until ctx ends, which is no error. Only the
// engine is made inside the namespace, and knows its way back: a goroutine that
// is locked to a thread costs a quarter more CPU.
func (l *Loop) Run(ctx context.Context, ns *netns.Namespace) error {
	var engine Engine
	err := ns.Do(func() (err error) {
		engine, err = l.newEngine()
		return err
	})
	if err != nil {
		return fmt.Errorf("probe from %s: %w", ns.Path(), err)
	}
	defer engine.Close()

	l.begin(engine)
	defer func() {
		l.mu.Lock()
		l.engine = nil
		l.mu.Unlock()
	}()
	defer context.AfterFunc(ctx, engine.Wake)()

	newRound(engine, time.Now()).run(ctx, l)
	return nil
}

// begin makes the engine the one that is woken up, and all targets new to it.
func (l *Loop) begin(engine Engine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.engine = engine
	for group := range l.wanted {
		l.changed[group] = true
	}
}

// take returns the groups of targets that have changed since the last call.
func (l *Loop) take() map[string][]Target {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.changed) == 0 {
		return nil
	}
	groups := make(map[string][]Target, len(l.changed))
	for group := range l.changed {
		groups[group] = l.wanted[group]
	}
	clear(l.changed)
	return groups
}

// round is the state of a running loop, owned by its goroutine.
type round struct {
	engine Engine
	batch  time.Duration
	epoch  time.Time // of the pacer
	pacer  *Pacer[*running]
	groups map[string]map[string]*running // by group and Target.Key
	byTag  map[uint64]*running
	last   uint64 // tag given last
	out    []probers.Result

	turnOut []probers.Probe // of one turn
}

// running is a target. The tag of its probes has their flow, or the course's own
// tag, in its lower 32 bits.
type running struct {
	tag   uint64
	taken time.Duration
	first uint64
	gone  bool // from its group
	Target
}

const ownBits = 32

func newRound(engine Engine, epoch time.Time) *round {
	return &round{
		engine: engine,
		epoch:  epoch,
		pacer:  NewPacer[*running](epoch),
		groups: make(map[string]map[string]*running),
		byTag:  make(map[uint64]*running),
	}
}

func (r *round) run(ctx context.Context, l *Loop) {
	for ctx.Err() == nil {
		if groups := l.take(); groups != nil {
			r.apply(groups, time.Now())
		}
		r.send(time.Now())
		r.out = r.engine.Poll(r.pacer.Next(time.Now(), idle), r.out[:0])
		for i := range r.out {
			res := &r.out[i]
			if t, ok := r.byTag[res.Tag>>ownBits]; ok {
				res.Tag &= 1<<ownBits - 1
				t.Sink.Result(*res)
			}
		}
		l.health(Health{Skipped: r.pacer.Skipped(), Stats: r.engine.Stats(), Err: r.engine.Err()})
	}
}

// send sends every probe that is due.
func (r *round) send(now time.Time) {
	for {
		t, due, ok := r.pacer.Pop(now)
		if !ok {
			return
		}
		if t.spares(t.taken, r.epoch, due) && t.Sink.Calm(now) {
			continue
		}
		for _, p := range r.turn(t, due, now) {
			r.engine.Send(p)
			t.Sink.Sent(now, max(now.Sub(due)-r.batch, 0))
		}
	}
}

// turn returns what a target sends in this turn.
func (r *round) turn(t *running, due, now time.Time) []probers.Probe {
	if t.Course == nil {
		flow := t.flow(r.epoch, due)
		t.Probe.Tag, t.Probe.Flow = t.tag<<ownBits|uint64(flow), flow
		train := max(t.Train, 1)
		if t.single(t.first, r.epoch, due) && t.Sink.Calm(now) {
			train = 1
		}
		r.turnOut = r.turnOut[:0]
		for range train {
			r.turnOut = append(r.turnOut, t.Probe)
		}
		return r.turnOut
	}
	probes := t.Course.Turn(r.engine)
	for i := range probes {
		probes[i].Tag = t.tag<<ownBits | probes[i].Tag&(1<<ownBits-1)
	}
	return probes
}

// apply makes the running targets of the groups the wanted ones. A target that
// changed gets a new tag, so that replies to its old probes are not taken for new
// ones.
func (r *round) apply(groups map[string][]Target, now time.Time) {
	for group, wanted := range groups {
		before, after := r.groups[group], make(map[string]*running, len(wanted))
		for _, t := range wanted {
			if was, ok := before[t.Key]; ok && t.same(was.Target) {
				was.Sink = t.Sink
				after[t.Key] = was
				continue
			}
			r.last++
			after[t.Key] = &running{Target: t, tag: r.last, taken: t.taken(), first: t.first()}
		}
		for key, was := range before {
			if was.gone = after[key] != was; was.gone {
				delete(r.byTag, was.tag)
			}
		}
		r.pacer.Remove(func(t *running) bool { return t.gone })
		for key, t := range after {
			if before[key] != t {
				r.byTag[t.tag] = t
				r.pacer.Add(t, key, t.Interval, now)
			}
		}
		r.groups[group] = after
	}
	r.batch = r.batchOf()
	r.engine.SetBatch(r.batch)
}

// batchOf returns how far apart the moments are at which the targets are probed:
// what is due between two of them leaves at the second, and round trips, which
// are timed by the kernel, do not change by it. No target has two turns in one.
func (r *round) batchOf() time.Duration {
	batch := moment.Apart
	for _, t := range r.byTag {
		batch = min(batch, t.Interval/2)
	}
	return batch
}
