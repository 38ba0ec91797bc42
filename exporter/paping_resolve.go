package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// lookup returns the addresses of a host by its name, the preferred first, and
// the name that the addresses stand at in the end, its canonical name.
type lookup func(ctx context.Context, host string) (canonical string, addrs []netip.Addr, err error)

// systemLookup asks /etc/hosts and the DNS servers of /etc/resolv.conf.
func systemLookup(ctx context.Context, host string) (string, []netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", nil, err
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	canonical, err := net.DefaultResolver.LookupCNAME(ctx, host)
	if err != nil {
		canonical = host // it has addresses: that it has no other name is no failure
	}
	return strings.TrimSuffix(canonical, "."), addrs, nil
}

// chooseAddress returns the first address of a family, 4 or 6; with family 0
// the first of IPv4, or else of IPv6.
func chooseAddress(addrs []netip.Addr, family int) (netip.Addr, error) {
	for _, f := range []int{4, 6} {
		for _, a := range addrs {
			if (family == 0 || family == f) && a.Is4() == (f == 4) {
				return a, nil
			}
		}
	}
	if family == 0 {
		return netip.Addr{}, errors.New("it has no address")
	}
	return netip.Addr{}, fmt.Errorf("it has no IPv%d address", family)
}

// papingHost is a destination that was found.
type papingHost struct {
	name string // the canonical name; what the user wrote if that was an address
	addr netip.Addr
}

// resolvePaping finds the destination of a command line.
func resolvePaping(ctx context.Context, o papingOptions, look lookup) (papingHost, error) {
	family := o.Family
	if o.Strict {
		family = 4
	}
	name, addrs := o.Destination, []netip.Addr(nil)
	if addr, ok := parseDotted(o.Destination); ok {
		addrs = []netip.Addr{addr}
	} else if addr, err := netip.ParseAddr(o.Destination); err == nil && !addr.Is4() {
		addrs = []netip.Addr{addr}
	} else {
		canonical, found, err := look(ctx, o.Destination)
		if err != nil {
			return papingHost{}, err
		}
		name, addrs = canonical, found
	}
	addr, err := chooseAddress(addrs, family)
	if err != nil {
		return papingHost{}, fmt.Errorf("%s: %w", o.Destination, err)
	}
	return papingHost{name, addr}, nil
}

// parseDotted reads an IPv4 address of one to four decimal or octal numbers,
// of which the last fills the bytes that are left: 127.1 is 127.0.0.1.
// gethostbyname(3) of glibc takes them as inet_aton(3) does, hexadecimal ones
// left out.
func parseDotted(s string) (netip.Addr, bool) {
	numbers := strings.Split(s, ".")
	if len(numbers) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, text := range numbers {
		n, err := strconv.ParseUint(text, dottedBase(text), 32)
		limit := uint64(math.MaxUint8)
		if i == len(numbers)-1 {
			limit = math.MaxUint32 >> (8 * i)
		}
		if err != nil || n > limit {
			return netip.Addr{}, false
		}
		if i < len(numbers)-1 {
			n <<= 24 - 8*i
		}
		value |= n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// dottedBase is the base that a number of an address is written in.
func dottedBase(number string) int {
	if len(number) > 1 && number[0] == '0' {
		return 8
	}
	return 10
}
