package probers

import (
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// BenchmarkManyTargets probes 1,000 addresses of the loopback device, one each
// millisecond, and beside it fping and a bare loop do so. The kernel answers
// within the send. UDP is answered by a process, and signed and checked.
func BenchmarkManyTargets(b *testing.B) {
	s := newSpace(b)
	targets := make([]netip.AddrPort, 1000)
	for i := range targets {
		targets[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(1 + i/250), 0, byte(1 + i%250)}), 9798)
	}
	respondApart(b, s)
	const interval = time.Millisecond
	for _, few := range []int{10, len(targets)} {
		name := fmt.Sprintf("%d", few)
		b.Run("engine/icmp/"+name, func(b *testing.B) { runEngineTo(b, s, ICMP, targets[:few], interval) })
		b.Run("fping/icmp/"+name, func(b *testing.B) { runFpingTo(b, s, targets[:few], interval) })
		b.Run("bare/icmp/"+name, func(b *testing.B) { runBareICMP(b, s, targets[:few], interval) })
		b.Run("engine/udp/"+name, func(b *testing.B) { runEngineTo(b, s, UDP, targets[:few], interval) })
		b.Run("engine/tcp/"+name, func(b *testing.B) { runEngineTo(b, s, TCP, targets[:few], interval) })
	}
}

// runBareICMP is what a short C program would do: one raw socket, sendto,
// recvfrom, and nanosleep until the next. It takes no kernel timestamps and
// checks nothing.
func runBareICMP(b *testing.B, s *space, targets []netip.AddrPort, interval time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := netns.Set(s.ns); err != nil {
			b.Error(err)
			return
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocolICMP4)
		if err == nil {
			err = setTypeFilter(fd, false, echoReply4)
		}
		if err != nil {
			b.Error(err)
			return
		}
		defer unix.Close(fd)
		packet := make([]byte, defaultSize-ipv4Header)
		var answer [captured]byte
		b.ResetTimer()
		start, cpu, answered := time.Now(), cpuTime(), 0
		receive := func() {
			for {
				n, _, _ := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&answer)), captured, 0, 0, 0)
				if int(n) <= 0 {
					return
				}
				answered++
			}
		}
		for i := range b.N {
			writeEcho(packet, false, 1, 2, uint64(i))
			to := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: targets[i%len(targets)].Addr().As4()}
			syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&packet[0])), uintptr(len(packet)), 0, uintptr(unsafe.Pointer(&to)), unsafe.Sizeof(to))
			receive()
			if wait := time.Until(start.Add(time.Duration(i+1) * interval)); wait > 0 {
				t := unix.NsecToTimespec(int64(wait))
				syscall.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
			}
		}
		receive()
		used := cpuTime() - cpu
		b.ReportMetric(float64(used)/float64(b.N)/1e3, "cpu-µs/probe")
		if answered != b.N {
			b.Errorf("%d of %d were answered", answered, b.N)
		}
	}()
	<-done
}
