package main

import (
	"bufio"
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// typist is a live display whose keys are typed one after the other, a second
// apart.
func typist(t *testing.T, keys string, width, height int) (screen string, report probers.PathReport) {
	t.Helper()
	var b bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		s := readMtrScenario(t, "mixed")
		o, err := parseMtr("", []string{"-n", s.Target}, true)
		if err != nil {
			t.Fatal(err)
		}
		engine := &scriptedEngine{scenario: s, sent: make(map[uint8]int)}
		run := &mtrRun{options: o, source: "here", host: s.Target, to: netip.MustParseAddr(s.Target), names: newMtrNames(t.Context(), false)}
		typed := make(chan byte, len(keys))
		go func() {
			for i := range len(keys) {
				time.Sleep(time.Second)
				typed <- keys[i]
			}
		}()
		view := &mtrLiveView{
			run: run, out: bufio.NewWriter(&b), now: time.Now, typed: typed, restore: func() {},
			screen: func() (int, int) { return width, height },
		}
		session := mtrSession{run: run, engine: engine, view: view, path: probers.NewPath(run.path())}
		session.measure(t.Context())
		report = session.path.Report()
	})
	frames := strings.Split(b.String(), screenHome)
	return frames[len(frames)-1], report
}

func TestMtrLive(t *testing.T) {
	screen, report := typist(t, "..q", 80, 24)
	for _, want := range []string{"here -> 192.0.2.99 (192.0.2.99)", " 1. 127.0.0.1 ", " 2. " + bold + "(waiting for reply)", " 5. 192.0.2.99 ", "Loss%   Snt   Last   Avg  Best  Wrst StDev"} {
		if !strings.Contains(screen, want) {
			t.Errorf("%q is not on the screen:\n%s", want, screen)
		}
	}
	if n := report.Hops[0].Sent; n < 3 || n > 4 {
		t.Errorf("%d probes in 3 seconds", n)
	}
	if screen, _ := typist(t, ".q", 40, 6); strings.Count(screen, "\r\n") > 5 {
		t.Errorf("more lines than the screen has:\n%s", screen)
	}
}

func TestMtrLiveKeys(t *testing.T) {
	if _, r := typist(t, "p....q", 80, 24); r.Hops[0].Sent > 2 {
		t.Errorf("%d probes, though paused after a second", r.Hops[0].Sent)
	}
	if _, r := typist(t, "p....  ..q", 80, 24); r.Hops[0].Sent < 4 {
		t.Errorf("%d probes, though resumed", r.Hops[0].Sent)
	}
	if _, r := typist(t, "....rq", 80, 24); r.Hops[0].Sent > 2 {
		t.Errorf("%d probes, though reset a second ago", r.Hops[0].Sent)
	}
}
