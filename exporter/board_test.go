package main

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/exporter/verdict"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

var (
	self  = peerKey{"n1", "a", "ipv4"}
	other = peerKey{"n2", "a", "ipv4"}
	now   = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
)

// newTestBoard returns the board of n1 with peer n2.
func newTestBoard() *board {
	b := newBoard(metrics.NewRecorder(prometheus.NewRegistry()))
	b.set(map[peerKey]peerState{
		self:  {self: true, state: discovery.Ready},
		other: {state: discovery.Ready},
	})
	return b
}

// answer notes the same end of every probe to a peer at now, twice, so that a
// loss counts.
func answer(b *board, key peerKey, reasons map[place]probers.Reason) {
	for range 2 {
		for _, vantage := range []string{vantageNode, vantagePod} {
			for _, kind := range []string{kindNode, kindPod} {
				for _, probe := range []probers.Kind{probers.ICMP, probers.TCP} {
					at := place{vantage, kind, probe}
					b.note(b.peer(key), at, reasons[at], time.Millisecond, now, 3*time.Second)
				}
			}
		}
	}
}

// verdictOf returns the present verdict about a peer.
func verdictOf(t *testing.T, b *board, key peerKey) verdict.Verdict {
	t.Helper()
	for _, p := range b.status() {
		if p.peerKey == key {
			return p.verdict
		}
	}
	t.Fatalf("%v is not on the board", key)
	return ""
}

// lost returns timeouts of everything sent from a vantage to an address kind.
func lost(vantage, kind string) map[place]probers.Reason {
	return map[place]probers.Reason{
		{vantage, kind, probers.ICMP}: probers.Timeout,
		{vantage, kind, probers.TCP}:  probers.Timeout,
	}
}

func TestBoardJudgesByTheLastOutcomes(t *testing.T) {
	b := newTestBoard()
	answer(b, self, nil)
	answer(b, other, lost(vantagePod, kindPod))
	b.judge(now)
	if got := verdictOf(t, b, other); got != verdict.PodNetwork {
		t.Errorf("n2 is %s; want pod_network", got)
	}
	answer(b, other, nil)
	b.judge(now.Add(time.Second))
	if got := verdictOf(t, b, other); got != verdict.OK {
		t.Errorf("n2 is %s after everything answered; want ok", got)
	}
}

func TestBoardDoesNotJudgeByWhatIsOld(t *testing.T) {
	b := newTestBoard()
	answer(b, self, nil)
	answer(b, other, lost(vantagePod, kindPod))
	b.judge(now.Add(time.Minute)) // the agent was stopped
	if got := verdictOf(t, b, other); got != verdict.Impaired {
		t.Errorf("n2 is %s by outcomes a minute old; want impaired", got)
	}
}

func TestAPeerIsCalmOnceNothingWasWrongForAWhile(t *testing.T) {
	at := place{vantagePod, kindPod, probers.TCP}
	for reason, troubles := range map[probers.Reason]bool{
		probers.OK: false, probers.Impaired: false, probers.LocalBuffer: false,
		probers.Timeout: true, probers.Refused: true, probers.NoRoute: true,
	} {
		b := newTestBoard()
		answer(b, other, nil)
		b.note(b.peer(other), at, reason, time.Millisecond, now, 3*time.Second)
		if got := b.calm(b.peer(other), now.Add(time.Second)); got == troubles {
			t.Errorf("after %q: calm is %v; want %v", reason, got, !troubles)
		}
		if !b.calm(b.peer(other), now.Add(calmAfter+time.Second)) || !b.calm(b.peer(self), now) {
			t.Errorf("after %q: the peer is not calm later, or another one is not", reason)
		}
	}
	b := newTestBoard()
	if b.trouble(b.peer(other), now); b.calm(b.peer(other), now.Add(time.Second)) || !b.calm(b.peer(other), now.Add(calmAfter+time.Second)) {
		t.Error("after a packet that was doubled or overtaken: want that it is calm later only")
	}
}

func TestBoardUsesTheControl(t *testing.T) {
	b := newTestBoard()
	broken := lost(vantagePod, kindNode)
	for at, reason := range lost(vantageNode, kindPod) {
		broken[at] = reason
	}
	answer(b, self, broken)
	away := lost(vantagePod, kindPod)
	for at, reason := range lost(vantagePod, kindNode) {
		away[at] = reason
	}
	answer(b, other, away)
	b.judge(now)
	if got := verdictOf(t, b, self); got != verdict.LocalPod {
		t.Errorf("n1 says %s of itself; want local_pod", got)
	}
	if got := verdictOf(t, b, other); got != verdict.OK {
		t.Errorf("n1 says %s of n2; want ok, its own pod is cut off", got)
	}
}

func TestBoardForgetsAVantageThatIsGone(t *testing.T) {
	b := newTestBoard()
	answer(b, self, nil)
	answer(b, other, lost(vantagePod, kindPod))
	b.forget(vantagePod)
	b.judge(now)
	if got := verdictOf(t, b, other); got != verdict.OK {
		t.Errorf("n2 is %s; want ok, the pod vantage that lost packets is gone", got)
	}
}

func TestBoardKnowsWhoIsExpectedToBeDown(t *testing.T) {
	b := newTestBoard()
	answer(b, self, nil)
	everything := map[place]probers.Reason{}
	for _, vantage := range []string{vantageNode, vantagePod} {
		for _, kind := range []string{kindNode, kindPod} {
			for at, reason := range lost(vantage, kind) {
				everything[at] = reason
			}
		}
	}
	answer(b, other, everything)
	b.set(map[peerKey]peerState{self: {self: true, state: discovery.Ready}, other: {state: discovery.Draining}})
	b.judge(now)
	if got := verdictOf(t, b, other); got != verdict.ExpectedDown {
		t.Errorf("n2 is %s; want expected_down, it drains", got)
	}
	b.set(map[peerKey]peerState{self: {self: true, state: discovery.Ready}})
	if n := len(b.status()); n != 1 {
		t.Errorf("%d peers after n2 left; want 1", n)
	}
}

// What notes outcomes holds on to the state of its peer.
func TestAPeerHasOneStateWhileItIsOnTheBoard(t *testing.T) {
	b := newTestBoard()
	before := b.peer(other)
	b.set(map[peerKey]peerState{self: {self: true, state: discovery.Ready}, other: {state: discovery.Draining}})
	if b.peer(other) != before || before.state != discovery.Draining {
		t.Errorf("n2 has another state once it drains, or is %s", before.state)
	}
	b.set(map[peerKey]peerState{self: {self: true, state: discovery.Ready}})
	if b.peer(other) != nil {
		t.Error("n2 has a state after it left")
	}
}
