package probers

import (
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// BenchmarkTrace measures CPU time per hop probe of path cycles over three
// hops and eight flows, one probe each millisecond, and beside it what mtr
// needs, which has one flow. Both hold the cost of routers and target.
func BenchmarkTrace(b *testing.B) {
	d := newDiamond(b)
	for _, kind := range []Kind{ICMP, TraceUDP, TraceTCP} {
		for _, is6 := range []bool{false, true} {
			name := kind.String() + "/" + familyName(is6)
			b.Run("engine/"+name, func(b *testing.B) { runTrace(b, d.src, sweep(kind, is6, 3, 8, time.Second)) })
			b.Run("mtr/"+name, func(b *testing.B) { runMTR(b, d.src, kind, is6) })
		}
	}
	b.Run("engine/echo/IPv4", func(b *testing.B) { // what a probe without a TTL costs here
		runTrace(b, d.src, []Probe{{Kind: ICMP, To: diamondTarget(false, 0), Timeout: time.Second}})
	})
}

// runTrace sends b.N probes, one per millisecond, and reports CPU per probe.
func runTrace(b *testing.B, s *space, cycle []Probe) {
	e := s.engine(b)
	burst(b, e, cycle) // neighbours, sockets, timestamps
	out := make([]Result, 0, 128)
	done, silent := 0, 0
	poll := func(until time.Time) {
		out = e.Poll(until, out[:0])
		for _, r := range out {
			done++
			if !r.From.IsValid() {
				silent++
			}
		}
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	start, cpu := time.Now(), cpuTime()
	for i := range b.N {
		e.Send(cycle[i%len(cycle)])
		for due := start.Add(time.Duration(i+1) * time.Millisecond); time.Now().Before(due); {
			poll(due)
		}
	}
	for done < b.N {
		poll(time.Now().Add(time.Second))
	}
	used := cpuTime() - cpu
	b.StopTimer()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(used)/float64(b.N)/1e3, "cpu-µs/probe")
	b.ReportMetric(float64(silent), "silent")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N), "allocs/probe")
}

// runMTR runs mtr for as many cycles of three hops as make b.N probes. It
// sends one probe each 3 ms: it may not be faster than 100 cycles per second.
func runMTR(b *testing.B, s *space, kind Kind, is6 bool) {
	mtr, err := exec.LookPath("mtr")
	if err != nil {
		b.Skip("mtr is not installed")
	}
	cycles := max(b.N/3, 1)
	args := []string{"-n", "-r", "-i", "0.01", "-G", "0.1", "-c", strconv.Itoa(cycles)}
	switch kind {
	case TraceUDP:
		args = append(args, "-u")
	case TraceTCP:
		args = append(args, "-T")
	}
	args = append(args, fmt.Sprint(diamondTarget(is6, 0).Addr()))
	s.do(func() {
		c := exec.Command(mtr, args...)
		b.ResetTimer()
		if out, err := c.CombinedOutput(); err != nil {
			b.Errorf("mtr: %v: %s", err, out)
			return
		}
		used := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
		b.ReportMetric(float64(used)/float64(cycles*3)/1e3, "cpu-µs/probe")
	})
}
