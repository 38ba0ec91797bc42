package main

import (
	"net/netip"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/exporter/schedule"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

const (
	// pathTurns is in how many turns at least the hops of a cycle are sent, so
	// that they do not leave in one burst.
	pathTurns = 10

	// pathWindow is how many cycles the judgement of a path's loss looks back,
	// and for how many more a path is measured faster after a loss.
	pathWindow = 30

	// pathMaxUnknown is how many silent hops in a row end the search for the
	// far end.
	pathMaxUnknown = 4
)

// pathOutside is what a course reports to, and where it learns what else is
// known of its peer.
type pathOutside struct {
	series  *metrics.Hops
	vantage *vantage
	board   *board
	names   func(netip.Addr) string
}

// pathCourse measures the path to one address, cycle after cycle. It belongs to
// the loop's goroutine.
//
// One cycle in 10 s needs minutes to tell a loss of 10 % from chance. So once a
// packet to the peer's node was lost, be it one of the path's own to its far
// end or another probe's, the next pathWindow cycles come at the interval of
// the configuration for that, in a burst each. While nothing at all comes back
// there is nothing to be found out, and it goes on at its usual pace.
type pathCourse struct {
	pathOutside
	path *probers.Path
	peer peerKey

	sent    uint64 // probes, which is the serial number of the last
	turn    int    // of the cycle, from 0
	over    bool   // the cycle has nothing more to send
	usual   int    // turns of a cycle
	fast    int    // and of one after a loss; usual, if those are no faster
	hurried int    // cycles that are still to be fast

	ends []uint8 // the TTL of the far end, by flow; 0 if it is not known
	loss endLoss
}

func newPathCourse(k courseKey, cfg config.PathProbe, kind probers.Kind, out pathOutside) *pathCourse {
	usual := turnsIn(cfg.Interval, pathTurn(cfg))
	fast := min(turnsIn(cfg.IntervalOnLoss, pathTurn(cfg)), usual)
	if k.vantage != vantageNode {
		fast = usual // what the fabric loses shows between the nodes
	}
	return &pathCourse{
		pathOutside: out,
		path: probers.NewPath(probers.PathOptions{
			Kind: kind, To: k.addr, Flows: cfg.Flows, MaxTTL: uint8(cfg.MaxTTL), MaxUnknown: pathMaxUnknown,
			Timeout: cfg.Timeout, Window: pathWindow,
		}),
		peer: k.peer, usual: usual, fast: fast, ends: make([]uint8, cfg.Flows),
	}
}

// pathTurn is the time from one turn of a path to the next.
func pathTurn(cfg config.PathProbe) time.Duration {
	return min(cfg.Interval/pathTurns, cfg.IntervalOnLoss)
}

// turnsIn returns how many turns an interval has, rounded up: a cycle never
// comes sooner than it may.
func turnsIn(interval, turn time.Duration) int { return int((interval + turn - 1) / turn) }

// Turn implements [schedule.Course].
func (c *pathCourse) Turn(schedule.Engine) []probers.Probe {
	if c.fast < c.usual && c.board.losing(c.peer, time.Now()) {
		c.hurry()
	}
	turns := c.usual
	if c.hurried > 0 {
		turns = c.fast
	}
	if c.turn >= turns || c.turn == 0 {
		c.begin()
	}
	c.turn++
	return c.next((c.path.Expected() + turns - 1) / turns)
}

// next returns the next probes of the cycle, so many at most.
func (c *pathCourse) next(most int) []probers.Probe {
	var probes []probers.Probe
	first := c.turn == 1 // what was sent last may have been the end of the cycle before
	for len(probes) < most && !c.over {
		p, ok := c.path.Next()
		if ok {
			probes = append(probes, p)
		} else {
			c.over = !first
		}
		first = false
	}
	c.sent += uint64(len(probes))
	return probes
}

// begin publishes what was found so far, and begins a cycle.
func (c *pathCourse) begin() {
	c.turn, c.over = 0, false
	c.hurried = max(c.hurried-1, 0)
	r := c.path.Report()
	for i, f := range r.Flows {
		if c.ends[i] = 0; f.Reached {
			c.ends[i] = f.Hops[len(f.Hops)-1].TTL
		}
	}
	if !r.LosesAtEnd() {
		c.loss = endLoss{unheard: c.loss.unheard, newest: c.loss.newest}
	}
	if c.loss.unheard++; c.loss.cut() {
		c.hurried = 0
	}
	c.series.Report(r, c.loss.lasting(lossHops(r, c.names)), c.names)
}

// hurry makes the next cycles fast.
func (c *pathCourse) hurry() {
	if c.fast < c.usual && !c.loss.cut() {
		c.hurried = pathWindow
	}
}

// Calm implements [schedule.Sink]. A course has no spare turns: it decides itself
// what to send in each.
func (c *pathCourse) Calm(time.Time) bool { return true }

// Sent implements [schedule.Sink].
func (c *pathCourse) Sent(now time.Time, delay time.Duration) { c.vantage.sent(now, delay) }

// Result implements [schedule.Sink].
func (c *pathCourse) Result(res probers.Result) {
	if !c.path.Add(res) || res.Event != probers.Done {
		return
	}
	flow, ttl := c.path.HopOf(res.Tag)
	if c.ends[flow] != ttl {
		return
	}
	number := c.sent - uint64(uint16(c.sent)-uint16(res.Tag>>16))
	switch res.Reason {
	case probers.Timeout, probers.BadReply:
		c.loss.lost(number, uint64(c.path.Expected()))
		c.hurry()
	case probers.OK, probers.Refused, probers.Reset, probers.PortUnreachable, probers.WrongIdentity:
		c.loss.answered(number)
	}
}

func (c *pathCourse) forget() { c.series.Forget() }
