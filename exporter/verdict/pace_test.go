package verdict

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name string
		rtts []time.Duration // one a second
		want bool            // of the last
	}{
		{"the first round trip has nothing to be slow against", []time.Duration{900 * ms}, false},
		{"steady", []time.Duration{ms, ms, ms, ms}, false},
		{"one slow round trip", []time.Duration{ms, ms, 60 * ms}, false},
		{"two slow ones in a row", []time.Duration{ms, ms, 60 * ms, 60 * ms}, true},
		{"slow and fast in turn", []time.Duration{ms, 60 * ms, ms, 60 * ms}, false},
		{"a few milliseconds more on a fast way", []time.Duration{ms / 10, 8 * ms, 8 * ms}, false},
		{"half as much again on a long way", []time.Duration{80 * ms, 120 * ms, 120 * ms}, false},
		{"three times as much on a long way", []time.Duration{80 * ms, 240 * ms, 240 * ms}, true},
		{"slow from the start, then better, then as at the start", []time.Duration{60 * ms, ms, 60 * ms, 60 * ms}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Pace
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			var got bool
			for _, rtt := range tt.rtts {
				got, _ = p.Add(rtt, now)
				now = now.Add(time.Second)
			}
			if got != tt.want {
				t.Errorf("slow = %v; want %v", got, tt.want)
			}
		})
	}
}

func TestPaceForgetsAWayThatStaysLonger(t *testing.T) {
	var p Pace
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p.Add(time.Millisecond, now)
	for range 3 * 3600 {
		now = now.Add(time.Second)
		slow, excess := p.Add(60*time.Millisecond, now)
		if age := now.Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); age > 2*time.Second && age < paceWindow && (!slow || excess != 59*time.Millisecond) {
			t.Fatalf("after %v: slow = %v, excess = %v; want slow by 59ms", age, slow, excess)
		}
	}
	if slow, _ := p.Add(60*time.Millisecond, now); slow {
		t.Error("still slow after three hours at the same pace")
	}
}
