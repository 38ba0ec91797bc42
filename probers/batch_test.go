package probers

import (
	"testing"
	"time"
)

// An engine works at multiples of its batch by the kernel's clock, once at each.
func TestEngineMeets(t *testing.T) {
	const ms = int64(time.Millisecond)
	for name, tc := range map[string]struct {
		batch            time.Duration
		zero, worked, at int64
		want             int64
	}{
		"no batch":              {0, 0, 7 * ms, 5 * ms, 5 * ms},
		"before a moment":       {100 * time.Millisecond, 0, 0, 130 * ms, 200 * ms},
		"at a moment":           {100 * time.Millisecond, 0, 0, 200 * ms, 200 * ms},
		"after a moment":        {100 * time.Millisecond, 0, 0, 200*ms + 1, 300 * ms},
		"began between two":     {100 * time.Millisecond, 70 * ms, 0, 100 * ms, 130 * ms},
		"overdue":               {100 * time.Millisecond, 0, 200*ms + 1, 150 * ms, 300 * ms},
		"overdue, worked there": {100 * time.Millisecond, 0, 200 * ms, 200 * ms, 300 * ms},
		"far away":              {100 * time.Millisecond, 0, 200 * ms, 950 * ms, 1000 * ms},
	} {
		e := &Engine{Batch: tc.batch, zero: tc.zero, worked: tc.worked}
		if got := e.meet(tc.at); got != tc.want {
			t.Errorf("%s: meet(%s) = %s; want %s", name, time.Duration(tc.at), time.Duration(got), time.Duration(tc.want))
		}
	}
}

// What is sent at one moment is looked at in the next, also if it left late.
func TestEngineLooksForAnswersAtTheNextMoment(t *testing.T) {
	e := &Engine{Batch: 100 * time.Millisecond}
	for _, late := range []time.Duration{0, time.Microsecond, 40 * time.Millisecond} {
		e.worked = int64(300*time.Millisecond + late)
		if got, want := e.meet(e.answered(e.worked+1)), int64(400*time.Millisecond); got != want {
			t.Errorf("sent %s late: %s; want %s", late, time.Duration(got), time.Duration(want))
		}
	}
}
