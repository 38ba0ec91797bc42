package collectors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/mdlayher/netlink"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// Sockets reports who listens on the ports that the mesh needs, and on which
// addresses, in the namespaces that matter: those of the agent and of the
// endpoint.
//
// Source: sock_diag(7), a dump of the listening TCP and the unconnected UDP
// sockets with that port. Needs no capability, and the kernel's tcp_diag and
// udp_diag, which it loads by itself.
type Sockets struct {
	handles *Handles
	ports   []uint16
	watch   func(Namespace) bool

	listening *prometheus.Desc
}

// NewSockets returns a Sockets that looks for listeners on ports in those
// namespaces of h that watch chooses.
func NewSockets(h *Handles, ports []uint16, watch func(Namespace) bool) *Sockets {
	return &Sockets{
		handles: h,
		ports:   ports,
		watch:   watch,
		listening: prometheus.NewDesc(prometheus.BuildFQName(namespace, "sockets", "listening"),
			"1 if a socket listens on the port, with the addresses it listens on in scope: all, address (a particular one that others can reach) or loopback. "+
				"0, with scope none, if no socket does.",
			[]string{"namespace", "pod", "protocol", "port", "scope"}, nil),
	}
}

// Describe implements [Collector].
func (c *Sockets) Describe(ch chan<- *prometheus.Desc) { ch <- c.listening }

// Collect implements [Collector].
func (c *Sockets) Collect(ch chan<- prometheus.Metric) error {
	err := c.handles.each(func(ns Namespace) error {
		if !c.watch(ns) {
			return nil
		}
		for _, port := range c.ports {
			for _, t := range transports() {
				if err := c.collect(ch, ns, t, port); err != nil {
					return err
				}
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EPROTONOSUPPORT):
		return fmt.Errorf("sockets: %w: %w: load the kernel modules tcp_diag and udp_diag", ErrUnsupported, err)
	case err != nil:
		return fmt.Errorf("sockets: %w", err)
	}
	return nil
}

// transport is a protocol, and the states in which its sockets listen.
type transport struct {
	name     string
	protocol uint8
	states   uint32 // bits of enum tcp_state
}

func transports() []transport {
	const listen, unconnected = 10, 7 // TCP_LISTEN, TCP_CLOSE
	return []transport{
		{"tcp", unix.IPPROTO_TCP, 1 << listen},
		{"udp", unix.IPPROTO_UDP, 1 << unconnected},
	}
}

func (c *Sockets) collect(ch chan<- prometheus.Metric, ns Namespace, t transport, port uint16) error {
	scopes := map[string]bool{}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		answer, err := c.handles.query(ns, sockDiag, listenRequest(family, t, port))
		if errors.Is(err, unix.ENOENT) && family == unix.AF_INET6 {
			continue // the kernel has no IPv6
		}
		if err != nil {
			return err
		}
		for _, m := range answer {
			l, err := parseListener(m.Data)
			if err != nil {
				return err
			}
			if l.Port() == port {
				scopes[scope(l.Addr())] = true
			}
		}
	}
	report := func(scope string, n float64) {
		ch <- prometheus.MustNewConstMetric(c.listening, prometheus.GaugeValue, n,
			ns.Namespace, ns.Pod, t.name, strconv.Itoa(int(port)), scope)
	}
	for scope := range scopes {
		report(scope, 1)
	}
	if len(scopes) == 0 {
		report("none", 0)
	}
	return nil
}

// scope tells from where a socket bound to addr can be reached.
func scope(addr netip.Addr) string {
	switch {
	case addr.IsUnspecified():
		return "all"
	case addr.IsLoopback():
		return "loopback"
	}
	return "address"
}

// listenRequest asks for the sockets in the transport's states with that port
// (struct inet_diag_req_v2, kernel: include/uapi/linux/inet_diag.h).
func listenRequest(family uint8, t transport, port uint16) netlink.Message {
	const sockDiagByFamily = 20
	data := make([]byte, 56)
	data[0], data[1] = family, t.protocol
	binary.NativeEndian.PutUint32(data[4:], t.states)
	binary.BigEndian.PutUint16(data[8:], port)
	return netlink.Message{
		Header: netlink.Header{Type: sockDiagByFamily, Flags: netlink.Request | netlink.Dump},
		Data:   data,
	}
}

// parseListener reads the local address out of struct inet_diag_msg. An IPv4
// address that an IPv6 socket is bound to is returned as IPv4.
func parseListener(b []byte) (netip.AddrPort, error) {
	if len(b) < 72 {
		return netip.AddrPort{}, fmt.Errorf("socket: %w", errShort)
	}
	port := binary.BigEndian.Uint16(b[4:])
	switch b[0] {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[8:12])), port), nil
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])).Unmap(), port), nil
	}
	return netip.AddrPort{}, fmt.Errorf("socket: address family %d is not IP", b[0])
}
