package probers

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLossBegins(t *testing.T) {
	const none = -1
	tests := []struct {
		name string
		hops []Loss
		want int // index of the hop, or none
	}{
		{"nothing measured", nil, none},
		{"nothing lost", []Loss{{100, 0}, {100, 0}, {100, 0}}, none},
		{"a hop limits its errors, the end is fine", []Loss{{100, 0}, {100, 60}, {100, 0}}, none},
		{"all hops limit their errors, the end is fine", []Loss{{100, 40}, {100, 60}, {100, 0}}, none},
		{"a silent hop, the end is fine", []Loss{{100, 0}, {100, 100}, {100, 0}}, none},
		{"one lost probe is chance", []Loss{{10, 0}, {10, 0}, {10, 1}}, none},
		{"two of a thousand are chance", []Loss{{1000, 0}, {1000, 0}, {1000, 2}}, none},
		{"a little, but for long", []Loss{{10000, 0}, {10000, 50}, {10000, 50}}, 1},
		{"from the first hop on", []Loss{{100, 11}, {100, 9}, {100, 10}}, 0},
		{"from the middle on", []Loss{{100, 0}, {100, 9}, {100, 11}, {100, 10}}, 1},
		{"at the end only", []Loss{{100, 0}, {100, 0}, {100, 12}}, 2},
		{"a few probes", []Loss{{10, 0}, {10, 4}, {10, 3}}, 1},
		{"a few probes, one hop lost none of them", []Loss{{10, 0}, {10, 2}, {10, 0}, {10, 3}}, 3},
		{"a middle hop loses less than the end", []Loss{{200, 0}, {200, 20}, {200, 2}, {200, 22}}, 3},
		{"behind a hop that limits its errors", []Loss{{100, 0}, {100, 60}, {100, 10}, {100, 11}}, 2},
		{"before a hop that limits its errors", []Loss{{100, 0}, {100, 10}, {100, 60}, {100, 11}}, 1},
		{"a silent hop in between", []Loss{{100, 0}, {100, 10}, {100, 100}, {100, 11}}, 1},
		{"a silent hop before", []Loss{{100, 0}, {100, 100}, {100, 10}, {100, 11}}, 2},
		{"nothing comes through", []Loss{{100, 0}, {100, 0}, {100, 100}}, 2},
		{"nothing comes through any more, from the second hop on", []Loss{{100, 0}, {100, 100}, {100, 100}}, 1},
		{"nothing comes through, and a hop limits its errors", []Loss{{100, 0}, {100, 60}, {100, 100}}, 2},
		{"nobody answers", []Loss{{100, 100}}, 0},
		{"nobody answered yet", []Loss{{1, 1}}, none},
		{"nothing has come back or timed out yet", []Loss{{0, 0}, {0, 0}}, none},
		{"it gets worse on the way", []Loss{{1000, 0}, {1000, 50}, {1000, 100}, {1000, 105}}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := LossBegins(tt.hops)
			if !ok {
				got = none
			}
			if got != tt.want {
				t.Errorf("LossBegins(%v) = %d; want %d", tt.hops, got, tt.want)
			}
		})
	}
}

// fabric is two equal-cost ways through a fabric, which flows take by their
// parity, with answers that come back over the second one only.
type fabric struct {
	random *rand.Rand
	loss   [2]float64 // of each way's second hop, both directions
	limit  float64    // part of the errors that the first router does not send
}

var fabricWays = [2]way{
	{"10.0.0.1", "10.0.1.1", "10.0.2.1", pathTarget.String()},
	{"10.0.0.1", "10.0.1.2", "10.0.2.1", pathTarget.String()},
}

func (f fabric) answer(p Probe) Result {
	r := fabricWays[p.Flow%2].answer(p)
	lost := p.TTL == 1 && f.random.Float64() < f.limit
	if p.TTL > 1 {
		lost = f.random.Float64() < f.loss[p.Flow%2]
	}
	if p.TTL > 2 { // the answer's own way
		lost = lost || f.random.Float64() < f.loss[1]
	}
	if lost {
		return Result{Tag: p.Tag, Event: Done, Reason: Timeout}
	}
	return r
}

func TestLossOfOneOfTwoEqualWays(t *testing.T) {
	tests := []struct {
		name string
		loss [2]float64
		want []LossPoint // Loss is not compared
	}{
		{"both are fine and the first router limits its errors", [2]float64{0, 0}, nil},
		{"the way there only", [2]float64{0.1, 0}, []LossPoint{{TTL: 2, Addr: addrOf("10.0.1.1"), After: addrOf("10.0.0.1"), Flows: []uint16{0, 2}}}},
		{"the way that answers take too", [2]float64{0, 0.1}, []LossPoint{{TTL: 2, Addr: addrOf("10.0.1.2"), After: addrOf("10.0.0.1"), Flows: []uint16{1, 3}}}},
		{"both", [2]float64{0.2, 0.2}, []LossPoint{
			{TTL: 2, Addr: addrOf("10.0.1.1"), After: addrOf("10.0.0.1"), Flows: []uint16{0, 2}},
			{TTL: 2, Addr: addrOf("10.0.1.2"), After: addrOf("10.0.0.1"), Flows: []uint16{1, 3}},
		}},
		{"one is cut", [2]float64{1, 0}, []LossPoint{{TTL: 2, After: addrOf("10.0.0.1"), Flows: []uint16{0, 2}, Total: true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newTestPath(PathOptions{Flows: 4, Window: 60, Timeout: time.Second})
			f := fabric{rand.New(rand.NewPCG(3, 4)), tt.loss, 0.5}
			for range 200 {
				cycle(p, f.answer)
			}
			got := p.Report().LossBegins()
			for i := range got {
				got[i].Loss = Loss{}
			}
			if diff := cmp.Diff(tt.want, got, cmpAddr()); diff != "" {
				t.Errorf("loss begins (-want +got):\n%s", diff)
			}
		})
	}
}

// How often the judgement is right at the size of sample that an agent has.
func TestLossIsFoundReliably(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	sample := func(p float64) Loss {
		l := Loss{Tried: 120}
		for range l.Tried {
			if random.Float64() < p {
				l.Lost++
			}
		}
		return l
	}
	const runs = 500
	found, wrong, falsely := 0, 0, 0
	for range runs {
		switch i, ok := LossBegins([]Loss{sample(0.3), sample(0), sample(0.1), sample(0.1), sample(0.1)}); {
		case ok && i == 2:
			found++
		case ok && i < 2:
			wrong++
		}
		if _, ok := LossBegins([]Loss{sample(0.3), sample(0), sample(0), sample(0)}); ok {
			falsely++
		}
	}
	if found < runs*9/10 || wrong > 0 || falsely > 0 {
		t.Errorf("of %d: found %d, blamed a hop before it %d, without loss %d", runs, found, wrong, falsely)
	}
}

func TestMeanThatIsNotToBeTrusted(t *testing.T) {
	ms := time.Millisecond
	tests := []struct {
		name string
		rtts []time.Duration
		want bool
	}{
		{"one answer", []time.Duration{ms}, false},
		{"steady", []time.Duration{10 * ms, 11 * ms, 10 * ms, 12 * ms}, false},
		{"one in four is slow", []time.Duration{ms, ms, ms, 50 * ms}, true},
		{"noise of a machine", []time.Duration{20 * time.Microsecond, 90 * time.Microsecond, 30 * time.Microsecond}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s spread
			for _, rtt := range tt.rtts {
				s.add(rtt)
			}
			if got := unsteady(s); got != tt.want {
				t.Errorf("unsteady = %v; want %v", got, tt.want)
			}
		})
	}
}
