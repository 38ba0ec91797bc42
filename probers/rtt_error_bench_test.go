package probers

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkRTTError measures by how much the round trip that is reported
// differs from that which the interface saw, by a packet socket on it, while
// every CPU has a process that never rests. fping and mtr measure the same
// target at the same pace. The round trip of UDP is without the time that the
// packet spent at the responder, which the interface there saw.
func BenchmarkRTTError(b *testing.B) {
	near, far := pair(b)
	respondApart(b, far)
	for range runtime.NumCPU() {
		spinApart(b)
	}
	for _, kind := range []Kind{ICMP, UDP, TCP} {
		b.Run("engine/"+kind.String(), func(b *testing.B) { runErrors(b, near, far, kind) })
	}
	b.Run("fping/icmp", func(b *testing.B) { runErrorsOf(b, near, fpingTimes) })
	b.Run("mtr/icmp", func(b *testing.B) { runErrorsOf(b, near, mtrTimes) })
}

const (
	errorPace   = 5 * time.Millisecond
	errorTarget = "10.9.0.2"
)

// runErrors probes with the engine.
func runErrors(b *testing.B, s, far *space, kind Kind) {
	e := s.engine(b)
	e.SetKey(testKey)
	to := netip.AddrPortFrom(netip.MustParseAddr(errorTarget), capturedPort)
	s.probe(b, e, Probe{Kind: kind, To: to, Timeout: time.Second}) // neighbours, sockets, timestamps
	c, there := s.capture(b, "eth0"), far.capture(b, "eth0")
	there.answerer = true
	keys := make([]uint64, 0, b.N)
	times := make([]time.Duration, b.N)
	done := 0
	poll := func(until time.Time) {
		for _, r := range e.Poll(until, nil) {
			if r.Event != Done {
				continue
			}
			if done++; r.Reason == OK {
				times[r.Tag] = r.RTT
			}
		}
	}
	start := time.Now()
	for i := range b.N {
		e.Send(Probe{Tag: uint64(i), Kind: kind, To: to, Timeout: time.Second, Flow: uint16(i)})
		keys = append(keys, e.keyOf(b, kind))
		for due := start.Add(time.Duration(i+1) * errorPace); time.Now().Before(due); {
			poll(due)
		}
	}
	for done < b.N {
		poll(time.Now().Add(time.Second))
	}
	seen, stayed := byKey(c.passages(b)), byKey(there.passages(b))
	var errors []time.Duration
	for i, key := range keys {
		x, ok := seen.next(key)
		y, stay := stayed.next(key)
		if !ok || !stay || times[i] == 0 {
			continue
		}
		took := x.took()
		if kind == UDP {
			took -= y.took()
		}
		errors = append(errors, times[i]-took)
	}
	reportErrors(b, errors, b.N)
}

// passagesByKey are passages of equal keys in the order of time.
type passagesByKey map[uint64][]passage

func byKey(all []passage) passagesByKey {
	m := make(passagesByKey)
	for _, x := range all {
		m[x.key] = append(m[x.key], x)
	}
	return m
}

// next takes the next passage of a key. It is false if there is none, or it had
// no answer.
func (m passagesByKey) next(key uint64) (passage, bool) {
	if len(m[key]) == 0 {
		return passage{}, false
	}
	x := m[key][0]
	m[key] = m[key][1:]
	return x, x.answer != 0
}

// keyOf is the passageKey of the probe that was sent last.
func (e *Engine) keyOf(b *testing.B, kind Kind) uint64 {
	f := e.flights.find(e.flights.last)
	switch kind {
	case ICMP:
		return uint64(e.echoID(f))<<16 | f.number&0xffff
	case TCP:
		if f.fd < 0 {
			return 0 // it has failed already
		}
		name, err := unix.Getsockname(f.fd)
		if err != nil {
			b.Fatal(err)
		}
		return uint64(name.(*unix.SockaddrInet4).Port)
	}
	return f.number
}

// runErrorsOf probes with another program, which says its times in the order
// of its probes, 0 for one that was lost.
func runErrorsOf(b *testing.B, s *space, run func(b *testing.B, s *space, probes int) []time.Duration) {
	c := s.capture(b, "eth0")
	times := run(b, s, b.N)
	var errors []time.Duration
	for i, x := range c.passages(b) {
		if i < len(times) && times[i] != 0 && x.answer != 0 {
			errors = append(errors, times[i]-x.took())
		}
	}
	reportErrors(b, errors, b.N)
}

func fpingTimes(b *testing.B, s *space, probes int) []time.Duration {
	out := runInstalled(b, s, "fping", "-q", "-C", strconv.Itoa(probes), "-p", ms(errorPace), errorTarget)
	_, list, _ := strings.Cut(out, " : ")
	return milliseconds(strings.Fields(list))
}

func mtrTimes(b *testing.B, s *space, probes int) []time.Duration {
	out := runInstalled(b, s, "mtr", "-n", "-l", "-m", "1", "-G", "1", "-i", fmt.Sprint(errorPace.Seconds()), "-c", strconv.Itoa(probes), errorTarget)
	at, times := map[string]int{}, []time.Duration{}
	for line := range strings.Lines(out) {
		switch w := strings.Fields(line); w[0] {
		case "x":
			at[w[2]] = len(times)
			times = append(times, 0)
		case "p":
			us, _ := strconv.Atoi(w[2])
			times[at[w[3]]] = time.Duration(us) * time.Microsecond
		}
	}
	return times
}

// runInstalled runs a program in the namespace, if it is installed, and returns
// all that it says.
func runInstalled(b *testing.B, s *space, name string, args ...string) string {
	program, err := exec.LookPath(name)
	if err != nil {
		b.Skipf("%s is not installed", name)
	}
	var out bytes.Buffer
	s.do(func() {
		c := exec.Command(program, args...)
		c.Stdout, c.Stderr = &out, &out
		err = c.Run()
	})
	if err != nil {
		b.Fatalf("%s: %v: %s", name, err, &out)
	}
	return out.String()
}

func milliseconds(words []string) []time.Duration {
	var all []time.Duration
	for _, w := range words {
		ms, _ := strconv.ParseFloat(w, 64) // "-" is a loss
		all = append(all, time.Duration(ms*1e6))
	}
	return all
}

// reportErrors reports the median and the 99th percentile of the errors without
// their sign, and how many probes had both times.
func reportErrors(b *testing.B, errors []time.Duration, probes int) {
	if len(errors) < probes*9/10 {
		b.Errorf("%d of %d probes have both times", len(errors), probes)
	}
	if len(errors) == 0 {
		return
	}
	late := 0
	for i := range errors {
		if errors[i] > 0 {
			late++
		}
		errors[i] = errors[i].Abs()
	}
	slices.Sort(errors)
	at := func(share float64) float64 { return float64(errors[int(share*float64(len(errors)-1))]) / 1e3 }
	b.ReportMetric(at(0.5), "p50-µs")
	b.ReportMetric(at(0.99), "p99-µs")
	b.ReportMetric(at(0.999), "p99.9-µs")
	b.ReportMetric(float64(late)/float64(len(errors)), "too-long")
	b.ReportMetric(0, "ns/op") // the pace
}

const spinVariable = "PNE_SPIN"

// spinApart runs a process that never rests.
func spinApart(b *testing.B) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), spinVariable+"=1")
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Process.Kill(); c.Wait() })
}
