package probers

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tun is the far end of a wire whose packets the test reads and writes: it
// answers as late, as often and as wrongly as the test likes.
type tun struct{ file *os.File }

const (
	tun4, tun6 = "10.7.0.2:0", "[fd07::2]:0"
)

// tun adds a device "tun0" to the namespace with 10.7.0.1/16 and fd07::1/64.
func (s *space) tun(t testing.TB) tun {
	t.Helper()
	d := s.tunWith(t, "10.7.0.1/16", "fd07::1/64")
	s.wait(t, "10.7.0.1", "fd07::1") // the kernel adds the route to it a little later
	return d
}

// tunWith adds a device "tun0" to the namespace.
func (s *space) tunWith(t testing.TB, prefixes ...string) tun {
	t.Helper()
	var fd int
	s.do(func() {
		var err error
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
			t.Skipf("no tun devices in this kernel: %v", err)
		}
		r, err := unix.NewIfreq("tun0")
		if err != nil {
			t.Fatal(err)
		}
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
			t.Error(err)
		}
	})
	f := os.NewFile(uintptr(fd), "tun")
	t.Cleanup(func() { f.Close() })
	s.up(t, "tun0")
	s.address(t, "tun0", prefixes...)
	return tun{f}
}

// request returns the next echo request that was sent to tun4 or tun6.
func (d tun) request(t testing.TB) []byte {
	t.Helper()
	b := make([]byte, 2048)
	d.file.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		n, err := d.file.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		v4 := b[0]>>4 == 4 && b[9] == protocolICMP4 && b[20] == echoRequest4 && b[19] == 2
		v6 := b[0]>>4 == 6 && b[6] == protocolICMP6 && b[40] == echoRequest6 && b[39] == 2
		if v4 || v6 {
			return b[:n]
		}
	}
}

func (d tun) write(t testing.TB, packet []byte) {
	t.Helper()
	if _, err := d.file.Write(packet); err != nil {
		t.Fatal(err)
	}
}

// answer returns the reply to a request, changed first and then given a right
// checksum.
func answer(request []byte, change func(icmp []byte)) []byte {
	b := append([]byte(nil), request...)
	icmp := b[ipv4Header:]
	if b[0]>>4 == 6 {
		icmp = b[ipv6Header:]
		copy(b[8:24], request[24:40])
		copy(b[24:40], request[8:24])
		icmp[0] = echoReply6
	} else {
		copy(b[12:16], request[16:20])
		copy(b[16:20], request[12:16])
		icmp[0] = echoReply4
	}
	if change != nil {
		change(icmp)
	}
	seal(b)
	return b
}

// seal sets the ICMP checksum of a packet.
func seal(b []byte) {
	if b[0]>>4 == 4 {
		icmp := b[ipv4Header:]
		binary.BigEndian.PutUint16(icmp[2:], 0)
		binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
		return
	}
	icmp := b[ipv6Header:]
	binary.BigEndian.PutUint16(icmp[2:], 0)
	pseudo := append([]byte(nil), b[8:40]...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(icmp)))
	pseudo = append(pseudo, 0, 0, 0, protocolICMP6)
	binary.BigEndian.PutUint16(icmp[2:], checksum(append(pseudo, icmp...)))
}

// next polls until there is a result and returns all there are.
func next(t testing.TB, e *Engine) []Result {
	t.Helper()
	out := e.Poll(time.Now().Add(10*time.Second), nil)
	if len(out) == 0 {
		t.Fatal("nothing happened for 10 s")
	}
	for i := range out {
		if out[i].Event != Done || out[i].Reason == OK {
			if out[i].RTT <= 0 {
				t.Errorf("RTT of %+v is not positive", out[i])
			}
		}
		out[i].RTT = 0
	}
	return out
}

func ping(tag uint64, to string, timeout time.Duration) Probe {
	return Probe{Tag: tag, Kind: ICMP, To: netip.MustParseAddrPort(to), Timeout: timeout}
}
