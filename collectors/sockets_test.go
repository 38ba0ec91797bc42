package collectors

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestParseListener(t *testing.T) {
	tests := []struct {
		name, file string
		want       string
	}{
		{"TCP on all addresses of both families", "tcp6-0", "[::]:9798"},
		{"UDP on one address", "udp4-0", "10.1.0.1:9798"},
		{"UDP on the loopback", "udp6-0", "[::1]:9798"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseListener(recorded(t, "socket/"+tt.file))
			if err != nil || got != netip.MustParseAddrPort(tt.want) {
				t.Errorf("parseListener() = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	if _, err := parseListener(make([]byte, 71)); !errors.Is(err, errShort) {
		t.Errorf("parseListener() of a short message = %v; want %v", err, errShort)
	}
	if _, err := parseListener(make([]byte, 72)); err == nil {
		t.Error("parseListener() of no address family = nil; want an error")
	}
}

func FuzzParseListener(f *testing.F) {
	addRecorded(f, "socket")
	f.Fuzz(func(_ *testing.T, b []byte) { parseListener(b) })
}

func TestSocketsTellWhereSomethingListens(t *testing.T) {
	tests := []struct {
		name   string
		listen []string // network and address
		tcp    string   // scope and value
		udp    string
	}{
		{"nothing listens", nil, `"none"} 0`, `"none"} 0`},
		{"both listen everywhere", []string{"tcp :9798", "udp :9798"}, `"all"} 1`, `"all"} 1`},
		{"IPv4 only is everywhere too", []string{"tcp4 0.0.0.0:9798", "udp4 0.0.0.0:9798"}, `"all"} 1`, `"all"} 1`},
		{"the loopback reaches nobody else", []string{"tcp 127.0.0.1:9798", "udp [::1]:9798"}, `"loopback"} 1`, `"loopback"} 1`},
		{"one address", []string{"tcp 10.1.0.1:9798"}, `"address"} 1`, `"none"} 0`},
		{"another port does not count", []string{"tcp :9799", "udp :9799"}, `"none"} 0`, `"none"} 0`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pod := newSandbox(t, "endpoint-n1")
			pod.address(t, "lo", "10.1.0.1/32")
			for _, l := range tt.listen {
				listenIn(t, pod, l)
			}
			h, _ := handlesFor(t, pod)
			set := setOf("sockets", NewSockets(h, []uint16{9798}, everywhere))
			want := fmt.Sprintf(`
# HELP podnet_sockets_listening 1 if a socket listens on the port, with the addresses it listens on in scope: all, address (a particular one that others can reach) or loopback. 0, with scope none, if no socket does.
# TYPE podnet_sockets_listening gauge
podnet_sockets_listening{namespace="podnet",pod="endpoint-n1",port="9798",protocol="tcp",scope=%s
podnet_sockets_listening{namespace="podnet",pod="endpoint-n1",port="9798",protocol="udp",scope=%s
`, tt.tcp, tt.udp)
			if err := testutil.CollectAndCompare(set, strings.NewReader(want), "podnet_sockets_listening"); err != nil {
				t.Error(err)
			}
			lint(t, set)
		})
	}
}

// listenIn opens a socket in the sandbox, given as its network and address.
func listenIn(t *testing.T, s *sandbox, what string) {
	t.Helper()
	network, address, _ := strings.Cut(what, " ")
	var open io.Closer
	err := s.Do(func() (err error) {
		if strings.HasPrefix(network, "tcp") {
			open, err = net.Listen(network, address)
		} else {
			open, err = net.ListenPacket(network, address)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { open.Close() })
}

func TestSocketsWatchChosenNamespacesOnly(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "app")
	h, _ := handlesFor(t, node, pod)
	c := NewSockets(h, []uint16{9798}, func(ns Namespace) bool { return ns.Node })
	if n := testutil.CollectAndCount(setOf("sockets", c), "podnet_sockets_listening"); n != 2 {
		t.Errorf("%d series; want TCP and UDP of the node", n)
	}
}
