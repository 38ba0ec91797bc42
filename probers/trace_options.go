package probers

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// TraceOptions is what the packets of an Engine's traces have in common: of
// all probes of the kinds TraceUDP and TraceTCP, and of those of the kind ICMP
// that have a TTL or a flow. The zero value leaves it to the kernel.
type TraceOptions struct {
	Source    netip.Addr // an address of this network namespace; used for its family
	Device    string     // send through this interface only (SO_BINDTODEVICE)
	Mark      uint32     // of the packets (SO_MARK); needs CAP_NET_ADMIN
	TOS       uint8      // type of service, or traffic class
	Pattern   *byte      // every byte of the payload behind its first 16, which name the probe; nil: bytes that differ; not used by TraceTCP
	LocalPort uint16     // source port of TraceUDP with Flow LocalPort % 16; other flows have ports beside it; 0: any
}

// apply sets what a socket knows by itself.
func (o TraceOptions) apply(fd int) error {
	if o.Device != "" {
		if err := unix.BindToDevice(fd, o.Device); err != nil {
			return fmt.Errorf("send through interface %s: %w", o.Device, err)
		}
	}
	if o.Mark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(o.Mark)); err != nil {
			return fmt.Errorf("mark packets: %w (needs CAP_NET_ADMIN)", err)
		}
	}
	return nil
}

// check fails if the source address is none of this namespace: the packets of
// traces are written whole, and no kernel would stop a false one.
func (o TraceOptions) check() error {
	if !o.Source.IsValid() {
		return nil
	}
	domain, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: o.Source.As16(), ZoneId: scope(o.Source.Zone())})
	if o.Source.Is4() {
		domain, to = unix.AF_INET, &unix.SockaddrInet4{Addr: o.Source.As4()}
	}
	fd, errno := socket(domain, unix.SOCK_DGRAM, 0)
	if errno != 0 {
		return fmt.Errorf("source address %s: %w", o.Source, errno)
	}
	defer closeFD(fd)
	if err := unix.Bind(fd, to); err != nil {
		return fmt.Errorf("source address %s: %w", o.Source, err)
	}
	return nil
}

// sourceFor returns the source address for a destination, invalid if that is
// the kernel's choice.
func (o TraceOptions) sourceFor(to netip.Addr) netip.Addr {
	if o.Source.Is4() == to.Is4() {
		return o.Source.WithZone("")
	}
	return netip.Addr{}
}
