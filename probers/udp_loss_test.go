package probers

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// step is one call of a LossTracker.
type step struct {
	do       string // sent, reply, lost, failed, ignore, doubled
	sequence uint64
	count    uint64
}

func (t *LossTracker) step(s step) Losses {
	switch s.do {
	case "sent":
		t.Sent(s.sequence)
	case "reply":
		return t.Reply(s.sequence, s.count)
	case "lost":
		return t.Lost(s.sequence)
	case "failed":
		return t.Failed(s.sequence)
	case "ignore":
		return t.Ignore(s.sequence)
	case "doubled":
		t.Doubled(s.count)
	}
	return Losses{}
}

func (l *Losses) add(n Losses) {
	l.Forward += n.Forward
	l.Reverse += n.Reverse
	l.Unknown += n.Unknown
}

func TestLossTracker(t *testing.T) {
	answered := func(sequence, count uint64) []step {
		return []step{{"sent", sequence, 0}, {"reply", sequence, count}}
	}
	lost := func(sequence uint64) []step { return []step{{"sent", sequence, 0}, {"lost", sequence, 0}} }
	tests := []struct {
		name  string
		steps [][]step
		want  Losses
	}{
		{"nothing is lost", [][]step{answered(1, 1), answered(2, 2)}, Losses{}},
		{"a request is lost", [][]step{answered(1, 1), lost(2), answered(3, 2)}, Losses{Forward: 1}},
		{"a reply is lost", [][]step{answered(1, 1), lost(2), answered(3, 3)}, Losses{Reverse: 1}},
		{"the first request of a flow is lost", [][]step{lost(1), answered(2, 1)}, Losses{Forward: 1}},
		{"the first reply of a flow is lost", [][]step{lost(1), answered(2, 2)}, Losses{Reverse: 1}},
		{"one of each is lost", [][]step{answered(1, 1), lost(2), lost(3), answered(4, 3)}, Losses{Forward: 1, Reverse: 1}},
		{"losses at the end are not told yet", [][]step{answered(1, 1), lost(2), lost(3)}, Losses{}},
		{"a loss is told once", [][]step{answered(1, 1), lost(2), answered(3, 2), answered(4, 3)}, Losses{Forward: 1}},
		{
			"nothing came for a long time",
			append(func() (s [][]step) {
				for i := range uint64(1000) {
					s = append(s, lost(i+1))
				}
				return s
			}(), answered(1001, 401)),
			Losses{Forward: 600, Reverse: 400},
		},
		{
			"a request overtakes another",
			[][]step{{{"sent", 1, 0}, {"sent", 2, 0}, {"reply", 2, 1}, {"reply", 1, 2}}, answered(3, 3)},
			Losses{},
		},
		{
			"a reply overtakes another",
			[][]step{{{"sent", 1, 0}, {"sent", 2, 0}, {"reply", 2, 2}, {"reply", 1, 1}}, answered(3, 3)},
			Losses{},
		},
		{
			"nothing is told while an earlier packet may still come",
			[][]step{{{"sent", 1, 0}, {"sent", 2, 0}, {"sent", 3, 0}, {"reply", 3, 2}, {"lost", 2, 0}}},
			Losses{},
		},
		{
			"it is told when that packet and a later one have come",
			[][]step{{{"sent", 1, 0}, {"sent", 2, 0}, {"sent", 3, 0}, {"reply", 3, 2}, {"lost", 2, 0}, {"reply", 1, 1}}, answered(4, 3)},
			Losses{Forward: 1},
		},
		{
			"a late reply that is still missing was not lost",
			[][]step{answered(1, 1), lost(2), {{"reply", 2, 2}}, answered(3, 3)},
			Losses{},
		},
		{
			// The request was so late that the responder had not counted it
			// when the next one was answered.
			"a late reply is not taken for a second request later on",
			[][]step{answered(1, 1), lost(2), answered(3, 2), {{"reply", 2, 3}}, lost(4), answered(5, 4)},
			Losses{Forward: 2},
		},
		{
			"a doubled request hides no loss",
			[][]step{answered(1, 1), {{"doubled", 0, 2}}, lost(2), answered(3, 3)},
			Losses{Forward: 1},
		},
		{
			"the responder has begun to count again",
			[][]step{answered(1, 1), answered(2, 2), lost(3), lost(4), answered(5, 1), lost(6), answered(7, 2)},
			Losses{Unknown: 2, Forward: 1},
		},
		{
			"the responder has begun to count again after one packet",
			[][]step{answered(1, 1), lost(2), answered(3, 1)},
			Losses{Unknown: 1},
		},
		{
			"a packet from before the responder's restart is lost",
			[][]step{answered(1, 9), {{"sent", 2, 0}, {"sent", 3, 0}, {"reply", 3, 1}, {"lost", 2, 0}}},
			Losses{Unknown: 1},
		},
		{
			"an ICMP error is no loss of either direction",
			[][]step{answered(1, 1), {{"sent", 2, 0}, {"failed", 2, 0}}, lost(3), answered(4, 3)},
			Losses{Reverse: 1},
		},
		{
			"a reply that the prober itself may have lost leaves a doubt",
			[][]step{answered(1, 1), {{"sent", 2, 0}, {"ignore", 2, 0}}, lost(3), answered(4, 3)},
			Losses{Unknown: 1},
		},
		{
			"a reply that the prober itself may have lost leaves no doubt where all were counted",
			[][]step{answered(1, 1), {{"sent", 2, 0}, {"ignore", 2, 0}}, lost(3), answered(4, 4)},
			Losses{Reverse: 1},
		},
		{"outcomes of what was never sent do nothing", [][]step{{{"lost", 7, 0}, {"failed", 8, 0}, {"ignore", 9, 0}}}, Losses{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tracker LossTracker
			var got Losses
			for _, steps := range tt.steps {
				for _, s := range steps {
					got.add(tracker.step(s))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("losses (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLossTrackerOnASimulatedPath compares the tracker with the truth, on
// paths that lose at random in both directions and deliver out of order.
func TestLossTrackerOnASimulatedPath(t *testing.T) {
	const packets = 20000
	for _, tt := range []struct {
		name             string
		forward, reverse float64 // share that is lost
		window           int     // packets in flight together, which arrive in any order
		tolerance        float64
	}{
		{"one packet at a time", 0.1, 0.05, 1, 0},
		{"only requests are lost", 0.1, 0, 1, 0},
		{"only replies are lost", 0, 0.1, 1, 0},
		{"two at a time, every second pair swapped", 0.1, 0.05, 2, 0.002},
		{"two at a time, every second pair swapped, only requests are lost", 0.1, 0, 2, 0.02},
		{"two at a time, every second pair swapped, only replies are lost", 0, 0.1, 2, 0.002},
		{"ten at a time, in any order at all", 0.1, 0.05, 10, 0.02},
	} {
		t.Run(tt.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			var tracker LossTracker
			var truth, got Losses
			var sequence, count uint64
			for sequence < packets {
				replies := map[uint64]uint64{}
				first := sequence + 1
				for range tt.window {
					sequence++
					tracker.Sent(sequence)
				}
				for _, i := range random.Perm(tt.window) {
					switch s := first + uint64(i); {
					case random.Float64() < tt.forward:
						truth.Forward++
					case random.Float64() < tt.reverse:
						count++
						truth.Reverse++
					default:
						count++
						replies[s] = count
					}
				}
				for s, c := range replies {
					got.add(tracker.Reply(s, c))
				}
				for s := first; s <= sequence; s++ {
					if replies[s] == 0 {
						got.add(tracker.Lost(s))
					}
				}
			}
			// Those of the last window may be open.
			near := func(a, b int) bool {
				return abs(int64(a-b)) <= int64(tt.tolerance*float64(truth.Forward+truth.Reverse))+int64(tt.window)
			}
			if !near(got.Forward, truth.Forward) || !near(got.Reverse, truth.Reverse) || got.Unknown > tt.window {
				t.Errorf("got %+v; the truth is %+v", got, truth)
			}
			t.Logf("got %+v; the truth is %+v", got, truth)
		})
	}
}
