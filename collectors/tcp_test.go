package collectors

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"
)

func TestParseNetstat(t *testing.T) {
	got := netstat{"TcpExtListenOverflows": 0, "TcpRetransSegs": 0, "UdpRcvbufErrors": 0, "Udp6RcvbufErrors": 0, "TcpMaxConn": 0, "TcpExtNone": 0}
	text := `TcpExt: SyncookiesSent ListenOverflows
TcpExt: 1 22
Tcp: MaxConn RetransSegs
Tcp: -1 33
Udp: RcvbufErrors
Udp: 44
`
	if err := got.parseNetstat([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := got.parseNetstat6([]byte("Udp6InDatagrams                 \t5\nUdp6RcvbufErrors                \t66\n")); err != nil {
		t.Fatal(err)
	}
	want := netstat{"TcpExtListenOverflows": 22, "TcpRetransSegs": 33, "UdpRcvbufErrors": 44, "Udp6RcvbufErrors": 66, "TcpMaxConn": 0, "TcpExtNone": 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counters differ (-want +got):\n%s", diff)
	}
}

func TestThisKernelHasEveryCounter(t *testing.T) {
	for _, counter := range NewTCP(nil).counters {
		for _, source := range counter.sources {
			const absent = 1<<64 - 1
			got := netstat{source: absent}
			for _, file := range []string{"netstat", "snmp"} {
				if err := got.parseNetstat(recorded(t, "proc/net/"+file)); err != nil {
					t.Fatal(err)
				}
			}
			if err := got.parseNetstat6(recorded(t, "proc/net/snmp6")); err != nil {
				t.Fatal(err)
			}
			if got[source] == absent {
				t.Errorf("%s is not in the recorded files", source)
			}
		}
	}
}

func TestParseNetstatRefusesWhatIsNoTable(t *testing.T) {
	for name, text := range map[string]string{
		"values of another group": "Tcp: RetransSegs\nUdp: 1\n",
		"no values":               "Tcp: RetransSegs\n",
		"no number":               "Tcp: RetransSegs\nTcp: many\n",
		"too few values":          "Tcp: MaxConn RetransSegs\nTcp: 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			if err := (netstat{"TcpRetransSegs": 0}).parseNetstat([]byte(text)); err == nil {
				t.Errorf("parseNetstat(%q) = nil; want an error", text)
			}
		})
	}
}

func FuzzParseNetstat(f *testing.F) {
	for _, file := range []string{"netstat", "snmp", "snmp6"} {
		f.Add(recorded(f, "proc/net/"+file))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		n := netstat{"TcpExtListenOverflows": 0, "TcpRetransSegs": 0, "Udp6NoPorts": 0}
		n.parseNetstat(b)
		n.parseNetstat6(b)
	})
}

func TestTCPCountsWhatIsLostInThePod(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "endpoint-n1")
	if err := pod.Do(func() error {
		for _, lose := range []func() error{overflowListener, missPort, overflowBuffer} {
			if err := lose(); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	h, _ := handlesFor(t, node, pod)
	set := setOf("tcp", NewTCP(h))
	var want strings.Builder
	for _, m := range []struct {
		name, help string
		value      int
	}{
		{"tcp_listen_drops_total", "Connections that a listener dropped, because of a full accept queue or for any other reason.", 1},
		{"tcp_listen_overflows_total", "Connections that were not accepted because the listener's accept queue was full.", 1},
		{"udp_no_ports_total", "UDP datagrams that were dropped because no socket is bound to their port.", 1},
		{"udp_receive_buffer_errors_total", "UDP datagrams that were dropped because the socket's receive buffer was full.", 1},
	} {
		fmt.Fprintf(&want, "# HELP podnet_%[1]s %[2]s\n# TYPE podnet_%[1]s counter\n"+
			"podnet_%[1]s{namespace=\"\",pod=\"\"} 0\npodnet_%[1]s{namespace=\"podnet\",pod=\"endpoint-n1\"} %[3]d\n", m.name, m.help, m.value)
	}
	if err := testutil.CollectAndCompare(set, strings.NewReader(want.String()), "podnet_tcp_listen_drops_total",
		"podnet_tcp_listen_overflows_total", "podnet_udp_no_ports_total", "podnet_udp_receive_buffer_errors_total"); err != nil {
		t.Error(err)
	}
	lint(t, set)
}

// overflowListener connects twice to a listener with room for one.
func overflowListener() error {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(listener)
	addr := &unix.SockaddrInet4{Port: 9798, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Bind(listener, addr); err != nil {
		return err
	}
	if err := unix.Listen(listener, 0); err != nil {
		return err
	}
	for range 2 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, addr); err != nil && err != unix.EINPROGRESS {
			return err
		}
	}
	return nil
}

// missPort sends to a port that nobody is bound to.
func missPort() error {
	conn, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("x"))
	return err
}

// overflowBuffer fills the smallest receive buffer, over IPv6, until a
// datagram is lost.
func overflowBuffer() error {
	receiver, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv6loopback, Port: 9798})
	if err != nil {
		return err
	}
	defer receiver.Close()
	if err := receiver.SetReadBuffer(1); err != nil {
		return err
	}
	conn, err := net.Dial("udp", "[::1]:9798")
	if err != nil {
		return err
	}
	defer conn.Close()
	for range 100 {
		if _, err := conn.Write(make([]byte, 1000)); err != nil {
			return err
		}
		text, err := os.ReadFile("/proc/thread-self/net/snmp6")
		if err != nil {
			return err
		}
		n := netstat{"Udp6RcvbufErrors": 0}
		if err := n.parseNetstat6(text); err != nil || n["Udp6RcvbufErrors"] > 0 {
			return err
		}
	}
	return fmt.Errorf("100 datagrams did not fill the buffer")
}
