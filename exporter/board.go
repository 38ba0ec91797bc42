package main

import (
	"sort"
	"sync"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/exporter/verdict"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// cycleInterval is how often every peer is judged.
const cycleInterval = time.Second

// calmAfter is for how long nothing may have been wrong with a peer until it is
// probed at the usual pace again.
const calmAfter = 30 * time.Second

// board keeps the last outcome of every probe, and judges the peers by them.
type board struct {
	recorder *metrics.Recorder

	mu    sync.Mutex
	peers map[peerKey]*peerState
}

// peerKey is what a verdict is about.
type peerKey struct {
	node, zone, family string
}

// place is where an outcome stands in a cycle: from which vantage, to which
// address of the peer, by which probe.
type place struct {
	vantage, targetKind string
	kind                probers.Kind // one of boardProbes
}

// boardProbes is the probes that are on the board.
var boardProbes = [...]probers.Kind{probers.ICMP, probers.TCP, probers.UDP}

// cells is a cell for each place: by vantage, target kind and probe.
type cells [2][2][len(boardProbes)]cell

// at returns the cell of a place.
func (c *cells) at(p place) *cell {
	var vantage, target int
	if p.vantage == vantagePod {
		vantage = 1
	}
	if p.targetKind == kindPod {
		target = 1
	}
	return &c[vantage][target][p.kind-probers.ICMP]
}

// cell is the last outcome of one place.
type cell struct {
	outcome verdict.Outcome
	expires time.Time
	pace    verdict.Pace
	slow    bool
}

type peerState struct {
	self   bool
	state  discovery.State
	cells  cells
	large  map[largeProbe]largeCell
	series *metrics.Peer

	troubled time.Time // when a probe failed last, or was doubled or overtaken

	oneWay  probers.OneWayTrend // of UDP between the nodes' own addresses
	delays  probers.OneWayChange
	verdict verdict.Verdict
	since   time.Time
}

func newBoard(recorder *metrics.Recorder) *board {
	return &board{recorder: recorder, peers: make(map[peerKey]*peerState)}
}

// set replaces the peers. Those that stay keep their outcomes and counters.
func (b *board) set(peers map[peerKey]peerState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, old := range b.peers {
		if _, ok := peers[key]; !ok {
			old.series.Forget()
			delete(b.peers, key)
		}
	}
	for key, wanted := range peers {
		p, ok := b.peers[key]
		if !ok {
			p = &peerState{large: make(map[largeProbe]largeCell), series: b.recorder.Peer(key.node, key.zone, key.family, wanted.self)}
			b.peers[key] = p
		}
		p.self, p.state = wanted.self, wanted.state
	}
}

// peer returns the state of a peer, to be changed by the board only; nil if the
// peer is not on it. It is the same one for as long as the peer is.
func (b *board) peer(key peerKey) *peerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.peers[key]
}

// note keeps what a probe ended with for a while: what is older than the next
// probe's end says nothing any more. RTT is that of a success.
func (b *board) note(p *peerState, at place, reason probers.Reason, rtt time.Duration, now time.Time, keep time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.note(at, reason, rtt, now, keep)
}

func (p *peerState) note(at place, reason probers.Reason, rtt time.Duration, now time.Time, keep time.Duration) {
	c := p.cells.at(at)
	c.outcome, c.expires = verdict.OutcomeOf(at.kind, reason, c.outcome), now.Add(keep)
	if reason == probers.OK {
		c.slow, _ = c.pace.Add(rtt, now)
	}
	if c.outcome.Failed() {
		p.troubled = now
	}
}

// trouble notes that something is wrong with the peer that is no outcome of a
// probe.
func (b *board) trouble(p *peerState, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.troubled = now
}

// calm reports whether nothing was wrong with a peer for a while, so that it
// need not be probed as often as may be.
func (b *board) calm(p *peerState, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return p.calm(now)
}

func (p *peerState) calm(now time.Time) bool { return now.Sub(p.troubled) > calmAfter }

// noteOneWay keeps how long a UDP exchange with the peer's node took each way.
func (b *board) noteOneWay(p *peerState, o probers.OneWay, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.delays = p.oneWay.Add(now, o)
}

// largeProbe is how large packets are tried: from which vantage, and by a
// search for the path MTU (ICMP) or a transfer.
type largeProbe struct {
	vantage string
	kind    probers.Kind
}

// largeCell is what such a probe said last.
type largeCell struct {
	lost    bool
	expires time.Time
}

// noteLarge keeps whether large packets vanished while small ones passed.
func (b *board) noteLarge(key peerKey, by largeProbe, lost bool, expires time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p, ok := b.peers[key]; ok {
		p.large[by] = largeCell{lost: lost, expires: expires}
	}
}

// forget drops the outcomes of one vantage, because it is gone.
func (b *board) forget(vantage string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.peers {
		for _, kind := range []string{kindNode, kindPod} {
			for _, probe := range boardProbes {
				*p.cells.at(place{vantage, kind, probe}) = cell{}
			}
		}
		for by := range p.large {
			if by.vantage == vantage {
				delete(p.large, by)
			}
		}
	}
}

// judge gives every peer its verdict of this cycle.
func (b *board) judge(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	isolated := b.isolatedNow(now)
	for key, p := range b.peers {
		c := p.cycle(now)
		c.PodIsolated = isolated[key.family]
		v := verdict.Of(c)
		p.series.Judge(v)
		p.series.Delays(p.delays)
		if v != p.verdict {
			p.verdict, p.since = v, now
		}
	}
}

// isolated reports, by family, whether this node and its own pod do not reach
// each other.
func (b *board) isolated(now time.Time) map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isolatedNow(now)
}

// isolatedNow is called with the lock held.
func (b *board) isolatedNow(now time.Time) map[string]bool {
	isolated := make(map[string]bool)
	for key, p := range b.peers {
		if p.self {
			isolated[key.family] = verdict.PodIsolated(p.cycle(now))
		}
	}
	return isolated
}

// cycle returns what is known of the peer at now.
func (p *peerState) cycle(now time.Time) verdict.Cycle {
	way := func(vantage, targetKind string) (w verdict.Way) {
		get := func(kind probers.Kind) verdict.Outcome {
			c := p.cells.at(place{vantage, targetKind, kind})
			if now.After(c.expires) {
				return verdict.None
			}
			w.Slow = w.Slow || c.slow && c.outcome == verdict.Answer
			return c.outcome
		}
		w.ICMP, w.TCP, w.UDP = get(probers.ICMP), get(probers.TCP), get(probers.UDP)
		return w
	}
	largeLost := false
	for _, l := range p.large {
		largeLost = largeLost || l.lost && !now.After(l.expires)
	}
	return verdict.Cycle{
		LargeLost:  largeLost,
		NodeToNode: way(vantageNode, kindNode),
		NodeToPod:  way(vantageNode, kindPod),
		PodToNode:  way(vantagePod, kindNode),
		PodToPod:   way(vantagePod, kindPod),
		Self:       p.self,
		Expected:   p.state != discovery.Ready,
	}
}

// peerStatus is a peer's present verdict.
type peerStatus struct {
	peerKey
	state   discovery.State
	self    bool
	verdict verdict.Verdict
	since   time.Time
}

// status returns the present verdicts, sorted by peer and family.
func (b *board) status() []peerStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []peerStatus
	for key, p := range b.peers {
		all = append(all, peerStatus{key, p.state, p.self, p.verdict, p.since})
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].node != all[j].node {
			return all[i].node < all[j].node
		}
		return all[i].family < all[j].family
	})
	return all
}
