package probers

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clocks is what the two ends of a path do in one second.
type clocks struct {
	forward, reverse time.Duration // delay of each way
	offset           time.Duration // of the responder's clock
}

func TestOneWayTrend(t *testing.T) {
	const ms = time.Millisecond
	hour := time.Hour
	calm := func(clocks) clocks { return clocks{ms, ms, 0} }
	tests := []struct {
		name   string
		second func(i int) clocks
		length int // seconds
		want   Ways
		known  bool
	}{
		{"too few exchanges", func(int) clocks { return calm(clocks{}) }, 4, 0, false},
		{"nothing changes", func(int) clocks { return calm(clocks{}) }, 300, 0, true},
		{"nothing changes, with clocks a day apart", func(int) clocks { return clocks{ms, ms, -24 * hour} }, 300, 0, true},
		{"the way there becomes slow", after(100, clocks{ms, ms, hour}, clocks{51 * ms, ms, hour}), 110, Forward, true},
		{"the way back becomes slow", after(100, clocks{ms, ms, -hour}, clocks{ms, 51 * ms, -hour}), 110, Reverse, true},
		{"both ways become slow", after(100, clocks{ms, ms, hour}, clocks{51 * ms, 51 * ms, hour}), 110, Forward | Reverse, true},
		{"a way stays slow for ten minutes", after(100, clocks{ms, ms, hour}, clocks{ms, 51 * ms, hour}), 700, Reverse, true},
		{"a way stays slow for an hour: that is its time now", after(100, clocks{ms, ms, hour}, clocks{ms, 51 * ms, hour}), 3700, 0, true},
		{"a way was slow for a while", after(130, clocks{}, clocks{ms, ms, 0}, 100, clocks{ms, ms, 0}, clocks{51 * ms, ms, 0}), 140, 0, true},
		{"a way was slow at the beginning", after(100, clocks{51 * ms, ms, 0}, clocks{ms, ms, 0}), 110, 0, true},
		{"a difference below the threshold", after(100, clocks{ms, ms, 0}, clocks{2 * ms, ms, 0}), 110, 0, true},
		{"some time after a clock was set", after(100, clocks{ms, ms, 0}, clocks{ms, ms, hour}), 115, 0, true},
		{
			"a way becomes slow after a clock was set",
			after(150, clocks{}, clocks{51 * ms, ms, hour}, 100, clocks{ms, ms, 0}, clocks{ms, ms, hour}), 160, Forward, true,
		},
		{
			"a clock runs 10 ppm fast",
			func(i int) clocks { return clocks{ms, ms, time.Duration(i) * 10 * time.Microsecond} }, 3000, 0, true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			queue := func() time.Duration { return time.Duration(random.ExpFloat64() * float64(100*time.Microsecond)) }
			var trend OneWayTrend
			var got OneWayChange
			start := time.Unix(1_700_000_000, 0)
			for i := range tt.length {
				c := tt.second(i)
				got = trend.Add(start.Add(time.Duration(i)*time.Second), OneWay{
					Forward: c.forward + queue() + c.offset, Reverse: c.reverse + queue() - c.offset,
				})
				trend.Add(start, OneWay{}) // an exchange without times
			}
			if got.Known != tt.known || got.Slower != tt.want {
				t.Errorf("got %+v; want %v, known %v", got, tt.want, tt.known)
			}
		})
	}
}

func TestOneWayTrendIsUnknownAfterAClockStep(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name string
		then clocks
	}{
		{"forward by an hour", clocks{ms, ms, time.Hour}},
		{"back by an hour", clocks{ms, ms, -time.Hour}},
		{"forward by as much as a slow way", clocks{ms, ms, 50 * ms}},
		{"back by as much as a slow way", clocks{ms, ms, -50 * ms}},
		{"as a way becomes slow", clocks{51 * ms, ms, time.Hour}},
		{"as a way becomes faster", clocks{ms / 10, ms, time.Hour}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(50) {
				random := rand.New(rand.NewPCG(seed, 2))
				queue := func() time.Duration { return time.Duration(random.ExpFloat64() * float64(100*time.Microsecond)) }
				var trend OneWayTrend
				unknown := 0
				for i := range 200 {
					c := after(100, clocks{ms, ms, 0}, tt.then)(i)
					got := trend.Add(time.Unix(1_700_000_000+int64(i), 0), OneWay{
						Forward: c.forward + queue() + c.offset, Reverse: c.reverse + queue() - c.offset,
					})
					if got.Slower != 0 {
						t.Fatalf("second %d: got %+v; no way has become slower", i, got)
					}
					if !got.Known && i >= 100 {
						unknown++
					}
				}
				if unknown == 0 || unknown > 20 {
					t.Errorf("unknown for %d s; want a few", unknown)
				}
			}
		})
	}
}

// after returns a path that changes after some seconds. More steps that came
// before it may follow.
func after(second int, before, then clocks, earlier ...any) func(int) clocks {
	return func(i int) clocks {
		switch {
		case i >= second:
			return then
		case len(earlier) == 3 && i >= earlier[0].(int):
			return earlier[2].(clocks)
		case len(earlier) == 3:
			return earlier[1].(clocks)
		}
		return before
	}
}

func TestJitter(t *testing.T) {
	var j Jitter
	var got []time.Duration
	for _, took := range []time.Duration{1000, 1000, 1160, 1000, 1000} {
		got = append(got, j.Add(took))
	}
	// By hand, after RFC 3550: 0; 0; 160/16; 10+(160-10)/16; 19.375-19.375/16.
	if diff := cmp.Diff([]time.Duration{0, 0, 10, 19, 18}, got); diff != "" {
		t.Errorf("jitter (-want +got):\n%s", diff)
	}
}

func TestJitterOfOneWayTimesNeedsNoCommonClock(t *testing.T) {
	var near, far Jitter
	for _, took := range []time.Duration{5, 90, 40, 40, 300} {
		near.Add(took)
		far.Add(took - time.Hour)
	}
	if near.Value() != far.Value() || near.Value() == 0 {
		t.Errorf("jitter %v and %v; want the same", near.Value(), far.Value())
	}
}
