package process

import (
	"errors"
	"testing"
)

func TestList(t *testing.T) {
	live := sleeper(t)
	gone := Process{Name: "gone", PID: live.PID, Start: live.Start + 1}
	var l List
	l.Set(Process{Name: "sleep", PID: 1})
	l.Set(gone)
	l.Set(live)
	if len(l) != 2 {
		t.Errorf("%d processes; one of a name", len(l))
	}
	if p, err := l.Find("sleep"); err != nil || p.PID != live.PID {
		t.Errorf("the one that runs: %+v, %v", p, err)
	}
	for _, name := range []string{"gone", "never"} {
		if _, err := l.Find(name); !errors.Is(err, ErrNotRunning) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.Drop("sleep")
	if _, err := l.Find("sleep"); !errors.Is(err, ErrNotRunning) {
		t.Errorf("dropped: %v", err)
	}
}
