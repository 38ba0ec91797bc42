package probers

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"
)

// portBlock is one source port for every flow. Sockets that never send are
// bound to them, so that nothing else on this node gets them, and so that the
// kernel does not answer by ICMP what comes back. To a SYN-ACK it answers with
// a RST, since nobody listens: that is how a half-open connection should end.
type portBlock struct {
	base    uint16 // the first port, a multiple of traceFlows; 0: not reserved
	sockets [traceFlows]int
}

// Ports above the kernel's usual choice for clients, as multiples of
// traceFlows.
const (
	firstBlock = 61008 / traceFlows
	lastBlock  = 65520 / traceFlows
)

// reserve takes ports of a socket kind, for both address families, in the
// network namespace of the calling thread.
func (p *portBlock) reserve(kind int) error {
	const blocks = lastBlock - firstBlock + 1
	at := rand.IntN(blocks)
	var err error
	for i := range blocks {
		base := uint16(firstBlock+(at+i)%blocks) * traceFlows
		if err = p.bind(kind, base); err == nil {
			p.base = base
			return nil
		}
	}
	return fmt.Errorf("reserve source ports: %w", err)
}

// take takes the ports of a block that begins at or below a given one.
func (p *portBlock) take(kind int, port uint16) error {
	base := port / traceFlows * traceFlows
	if err := p.bind(kind, base); err != nil {
		return fmt.Errorf("take source ports %d to %d: %w", base, base+traceFlows-1, err)
	}
	p.base = base
	return nil
}

func (p *portBlock) bind(kind int, base uint16) error {
	for i := range p.sockets {
		fd, err := bindPort(kind, base+uint16(i))
		if err != nil {
			for _, fd := range p.sockets[:i] {
				closeFD(fd)
			}
			return err
		}
		p.sockets[i] = fd
	}
	return nil
}

// bindPort returns a socket that holds a port of all addresses, and takes
// nothing.
func bindPort(kind int, port uint16) (int, error) {
	any, domain := netip.IPv6Unspecified(), unix.AF_INET6
	fd, errno := socket(domain, kind, 0)
	if errno == unix.EAFNOSUPPORT {
		any, domain = netip.IPv4Unspecified(), unix.AF_INET
		fd, errno = socket(domain, kind, 0)
	}
	if errno != 0 {
		return -1, errno
	}
	if err := hold(fd, domain, netip.AddrPortFrom(any, port)); err != nil {
		closeFD(fd)
		return -1, err
	}
	return fd, nil
}

func hold(fd, domain int, port netip.AddrPort) error {
	if domain == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return fmt.Errorf("hold IPv4 port too: %w", err)
		}
	}
	if err := attachFilter(fd, nothing()); err != nil {
		return err
	}
	var address sockaddr
	at, length := address.set(port.Addr(), port.Port())
	if _, _, errno := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(at), length); errno != 0 {
		return fmt.Errorf("bind to %s: %w", port, errno)
	}
	return nil
}

func (p *portBlock) close() {
	if p.base == 0 {
		return
	}
	for _, fd := range p.sockets {
		closeFD(fd)
	}
	p.base = 0
}
