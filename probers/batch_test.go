package probers

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
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

// A TCP probe is given up before the kernel sends its SYN a second time, also if
// the engine has no moment between its timeout and then.
func TestTCPProbeSendsOneSYN(t *testing.T) {
	near, far := pair(t)
	far.filter(t, nftables.ChainHookInput, drop())
	e := near.engine(t)
	e.Batch, e.zero = 700*time.Millisecond, -e.now().mono // the moment after the timeout is 1.4 s from now
	const n = 20
	for i := range n {
		to := far4
		if i%2 == 1 {
			to = far6
		}
		e.Send(Probe{Tag: uint64(i), Kind: TCP, To: netip.MustParseAddrPort(to), Timeout: 800 * time.Millisecond})
	}
	start := time.Now()
	var results []Result
	for len(results) < n {
		results = e.Poll(start.Add(3*time.Second), results)
	}
	for _, r := range results {
		if r.Reason != Timeout || r.Retransmits != 0 {
			t.Errorf("%+v; want a timeout, nothing sent again", r)
		}
	}
	if took := time.Since(start); took < 800*time.Millisecond {
		t.Errorf("all were given up after %s; want the timeout, 800 ms", took)
	}
	if got := near.resent(t); got != 0 {
		t.Errorf("%v SYNs were sent again", got)
	}
}

// resent returns how many TCP segments were sent again.
func (s *space) resent(t *testing.T) float64 {
	t.Helper()
	var snmp procfs.ProcSnmp
	var err error
	s.do(func() {
		var thread procfs.Proc
		if thread, err = procfs.NewProc(unix.Gettid()); err == nil {
			snmp, err = thread.Snmp()
		}
	})
	if err != nil || snmp.RetransSegs == nil {
		t.Fatalf("no count of segments that were sent again: %v", err)
	}
	return *snmp.RetransSegs
}
