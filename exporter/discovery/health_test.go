package discovery

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestAnAPIServerThatCannotBeConnectedToDoesNotAnswer(t *testing.T) {
	var log strings.Builder
	h := newHealth(slog.New(slog.NewTextHandler(&log, nil)), func() {})
	state := func() facts { return facts{dial: h.unreachable(), last: h.outcomes()} }
	expect := func(when string, up bool, said int) {
		t.Helper()
		f := state()
		var problems []problem
		if p, ok := f.problems()[""]; ok {
			problems = append(problems, p)
		}
		h.report(problems)
		if f.apiUp() != up {
			t.Errorf("%s: up is %v; want %v", when, f.apiUp(), up)
		}
		if got := strings.Count(log.String(), "level=WARN"); got != said {
			t.Errorf("%s: %d warnings; want %d:\n%s", when, got, said, log.String())
		}
	}
	expect("before anything was asked", false, 0)
	h.asked(t.Context(), resourceEvents, errors.New("i/o timeout"))
	expect("when the request for events failed and nothing else was answered", false, 0)
	h.dialled(t.Context(), errors.New("dial tcp 10.96.0.1:443: i/o timeout"))
	expect("after a connection that failed", false, 1)
	h.dialled(t.Context(), errors.New("dial tcp 10.96.0.1:443: i/o timeout"))
	expect("after one more", false, 1)
	h.dialled(t.Context(), nil)
	h.asked(t.Context(), resourceSlices, nil)
	expect("connected and answered", true, 1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	h.dialled(ended, context.Canceled)
	expect("after a connection that nobody wanted any more", true, 1)
	if !strings.Contains(log.String(), "this is over") {
		t.Errorf("the log does not say that it is over:\n%s", log.String())
	}
}
