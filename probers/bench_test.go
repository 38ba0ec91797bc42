package probers

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The benchmarks measure CPU time, user and system, per probe over a veth pair
// whose far end is answered by the kernel. Each has the bare alternative
// beside it. Both sides of the exchange run in the time of whoever sends, so
// all figures hold the same cost of the network itself.

const benchTargets = 10

// cpuTime is the CPU time of the whole process so far, all threads.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchNet is a pair whose far end has ten addresses per family.
func benchNet(b *testing.B) (near, far *space) {
	near, far = pair(b)
	for i := 3; i < 2+benchTargets; i++ {
		far.address(b, "eth0", fmt.Sprintf("10.9.0.%d/24", i), fmt.Sprintf("fd09::%x/64", i))
	}
	return near, far
}

func benchTarget(i int, is6 bool) netip.AddrPort {
	if is6 {
		return netip.MustParseAddrPort(fmt.Sprintf("[fd09::%x]:9798", 2+i%benchTargets))
	}
	return netip.MustParseAddrPort(fmt.Sprintf("10.9.0.%d:9798", 2+i%benchTargets))
}

// runEngine sends b.N probes to the far end, one per interval, and reports CPU
// per probe. Interval 0 is as fast as it can.
func runEngine(b *testing.B, s *space, kind Kind, is6 bool, interval time.Duration) {
	targets := make([]netip.AddrPort, benchTargets)
	for i := range targets {
		targets[i] = benchTarget(i, is6)
	}
	runEngineTo(b, s, kind, targets, interval)
}

// runEngineTo sends b.N probes to targets in turn.
func runEngineTo(b *testing.B, s *space, kind Kind, targets []netip.AddrPort, interval time.Duration) {
	e := s.engine(b)
	e.SetKey(testKey)
	func() {
		out := make([]Result, 0, 128)
		done, failed, extra := 0, 0, 0
		count := func() {
			for _, r := range out {
				switch {
				case r.Event != Done:
					extra++
				case r.Reason != OK:
					failed++
					done++
				default:
					done++
				}
			}
		}
		send := func(i int) {
			p := Probe{Tag: uint64(i), Kind: kind, To: targets[i%len(targets)], Timeout: time.Second}
			if kind == UDP {
				p.Flow = uint16(i / len(targets))
			}
			e.Send(p)
		}
		for i := 0; done < len(targets); { // neighbours, sockets, timestamps
			for ; i < len(targets) && i-done < 100; i++ {
				send(i)
			}
			out = e.Poll(time.Now().Add(time.Second), out[:0])
			count()
		}
		done, failed = 0, 0
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b.ResetTimer()
		start, cpu := time.Now(), cpuTime()
		for sent := 0; sent < b.N; {
			due := start.Add(time.Duration(sent) * interval)
			for now := time.Now(); sent < b.N && !due.After(now) && sent-done < 200; sent++ {
				send(sent)
				due = start.Add(time.Duration(sent+1) * interval)
			}
			out = e.Poll(due, out[:0])
			count()
		}
		for done < b.N {
			out = e.Poll(time.Now().Add(time.Second), out[:0])
			count()
		}
		used := cpuTime() - cpu
		b.StopTimer()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(used)/float64(b.N)/1e3, "cpu-µs/probe")
		b.ReportMetric(float64(failed), "failed")
		b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N), "allocs/probe")
		if extra > 0 || failed > 0 || e.Stats().NoTimestamp > 1 {
			b.Logf("failed %d, extra %d, %+v", failed, extra, e.Stats())
		}
	}()
}

func BenchmarkICMP(b *testing.B) {
	near, _ := benchNet(b)
	for _, is6 := range []bool{false, true} {
		for _, interval := range []time.Duration{time.Millisecond, 10 * time.Millisecond} {
			name := fmt.Sprintf("v4/%v", interval)
			if is6 {
				name = fmt.Sprintf("v6/%v", interval)
			}
			b.Run("engine/"+name, func(b *testing.B) { runEngine(b, near, ICMP, is6, interval) })
			b.Run("fping/"+name, func(b *testing.B) { runFping(b, near, is6, interval) })
		}
	}
}

func runFping(b *testing.B, s *space, is6 bool, interval time.Duration) {
	var targets []netip.AddrPort
	for i := range benchTargets {
		targets = append(targets, benchTarget(i, is6))
	}
	runFpingTo(b, s, targets, interval)
}

func runFpingTo(b *testing.B, s *space, targets []netip.AddrPort, interval time.Duration) {
	fping, err := exec.LookPath("fping")
	if err != nil {
		b.Skip("fping is not installed")
	}
	rounds := max(b.N, 1000) / len(targets) // so that its start does not count
	args := []string{"-q", "-c", strconv.Itoa(rounds), "-i", ms(interval), "-p", ms(interval * time.Duration(len(targets)))}
	for _, t := range targets {
		args = append(args, t.Addr().String())
	}
	s.do(func() {
		c := exec.Command(fping, args...)
		b.ResetTimer()
		if out, err := c.CombinedOutput(); err != nil {
			b.Errorf("fping: %v: %s", err, out)
			return
		}
		used := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
		b.ReportMetric(float64(used)/float64(rounds*len(targets))/1e3, "cpu-µs/probe")
	})
}

func ms(d time.Duration) string { return strconv.FormatFloat(d.Seconds()*1e3, 'f', -1, 64) }

func BenchmarkTCP(b *testing.B) {
	near, far := benchNet(b)
	acceptor(b, far)
	for _, interval := range []time.Duration{0, time.Millisecond, 10 * time.Millisecond} {
		b.Run(fmt.Sprintf("engine/v4/%v", interval), func(b *testing.B) { runEngine(b, near, TCP, false, interval) })
		b.Run(fmt.Sprintf("bare/v4/%v", interval), func(b *testing.B) { runBare(b, near, interval) })
	}
}

// runBare is what a C program would do: socket, connect, set linger, close,
// and nothing of Go's but the loop.
func runBare(b *testing.B, s *space, interval time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := netns.Set(s.ns); err != nil {
			panic(err)
		}
		var to [benchTargets]unix.RawSockaddrInet4
		for i := range to {
			t := benchTarget(i, false)
			to[i] = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: t.Addr().As4(), Port: t.Port()>>8 | t.Port()<<8}
		}
		linger := unix.Linger{Onoff: 1}
		b.ResetTimer()
		start, cpu := time.Now(), cpuTime()
		for i := range b.N {
			fd, _, _ := syscall.RawSyscall(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			a := &to[i%benchTargets]
			if _, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(a)), unsafe.Sizeof(*a)); errno != 0 {
				b.Error(errno)
			}
			syscall.RawSyscall6(unix.SYS_SETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&linger)), unsafe.Sizeof(linger), 0)
			syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
			if wait := time.Until(start.Add(time.Duration(i+1) * interval)); interval > 0 && wait > 0 {
				t := unix.NsecToTimespec(int64(wait))
				syscall.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
			}
		}
		used := cpuTime() - cpu
		b.ReportMetric(float64(used)/float64(b.N)/1e3, "cpu-µs/probe")
	}()
	<-done
}

// acceptor accepts TCP connections in a namespace, in a process of its own.
func acceptor(b *testing.B, s *space) {
	var l net.Listener
	var err error
	s.do(func() { l, err = net.Listen("tcp", ":9798") })
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), acceptVariable+"=1")
	c.ExtraFiles = []*os.File{f}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Process.Kill(); c.Wait() })
}

const acceptVariable = "PNE_ACCEPT"

func TestMain(m *testing.M) {
	if os.Getenv(respondVariable) != "" {
		benchResponder()
		return
	}
	for os.Getenv(spinVariable) != "" {
	}
	if os.Getenv(acceptVariable) != "" {
		unix.SetNonblock(3, false)
		for {
			fd, _, err := unix.Accept(3)
			if err == unix.EINVAL || err == unix.EBADF {
				return
			}
			unix.Close(fd)
		}
	}
	stamping := keepStamping()
	code := m.Run()
	if stamping != nil {
		stamping.Close()
	}
	os.Exit(code)
}

// keepStamping returns an engine that keeps the kernel's RX timestamps on until
// it is closed, nil if it cannot. They come on a little after the first socket
// of the machine asked for them, and it would not be known for which packet of
// which test.
//
// Source: kernel, net/core/dev.c, net_enable_timestamp.
func keepStamping() *Engine {
	e, err := NewEngine()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for unstamped := uint64(1); unstamped > 0; {
		before := e.Stats().NoTimestamp
		r, err := Once(ctx, e, Probe{Kind: ICMP, To: netip.MustParseAddrPort("127.0.0.1:0"), Timeout: time.Second})
		if err != nil || r.Reason != OK {
			break // tests say why
		}
		unstamped = e.Stats().NoTimestamp - before
	}
	return e
}
