package main

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// copier sends copies of IP packets out of a device. The sockets last as long
// as the process.
type copier struct{ ip4, ip6 int }

// newCopier opens the sockets of a copier in a namespace. Impairments of a
// higher order do not see the copies, nor does that of the same one.
func newCopier(netnsName, device string, order uint8) (copier, error) {
	var c copier
	err := netspace.In(netnsName, func() error {
		var err error
		if c.ip4, err = rawSocket(unix.AF_INET, device, order); err != nil {
			return err
		}
		c.ip6, err = rawSocket(unix.AF_INET6, device, order)
		return err
	})
	if err != nil {
		return copier{}, fmt.Errorf("copies out of %s: %w", device, err)
	}
	return c, nil
}

// rawSocket returns a socket of the calling thread's namespace that sends
// packets with their IP header and receives none (raw(7), IPPROTO_RAW).
func rawSocket(family int, device string, order uint8) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return 0, err
	}
	if err := unix.BindToDevice(fd, device); err != nil {
		return 0, err
	}
	return fd, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, copyMark|int(order))
}

// send sends a copy of a packet.
func (c copier) send(packet []byte) error {
	to, err := destinationOf(packet)
	if err != nil {
		return err
	}
	if to.Is4() {
		return unix.Sendto(c.ip4, packet, 0, &unix.SockaddrInet4{Addr: to.As4()})
	}
	return unix.Sendto(c.ip6, packet, 0, &unix.SockaddrInet6{Addr: to.As16()})
}

// destinationOf returns the destination of an IP packet (RFC 791, RFC 8200).
func destinationOf(packet []byte) (netip.Addr, error) {
	switch {
	case len(packet) >= 20 && packet[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(packet[16:20])), nil
	case len(packet) >= 40 && packet[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(packet[24:40])), nil
	}
	return netip.Addr{}, fmt.Errorf("no IP header in %d bytes", len(packet))
}
