package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// mtrMode is what the measurement is shown as.
type mtrMode uint8

// The modes.
const (
	mtrLive mtrMode = iota
	mtrReport
	mtrJSON
	mtrCSV
	mtrXML
	mtrRaw
	mtrSplit
)

// interactive is whether the mode goes on until it is told to end, unless
// there is a count.
func (m mtrMode) interactive() bool { return m == mtrLive || m == mtrSplit }

// mtrOptions is what a command line of mtr asks for.
type mtrOptions struct {
	Hosts []string
	Mode  mtrMode
	Wide  bool

	Cycles     int
	HasCycles  bool // -c was given
	Interval   time.Duration
	Grace      time.Duration // how long answers are waited for after the last probe
	Timeout    time.Duration // after which a probe is lost
	Kind       probers.Kind
	Port       int // 0: the kind's own
	LocalPort  int // of UDP; 0: any
	FirstTTL   int
	MaxTTL     int
	MaxUnknown int
	Size       int // of the IP packet in bytes; negative: random up to that
	Pattern    int // every byte of the payload behind its first 16, 0 to 255; negative: one at random
	TOS        int
	Mark       uint32
	Interface  string
	Address    string
	Family     int // 4 or 6; 0 is either

	NoDNS   bool
	ShowIPs bool
	Fields  string
	IPInfo  int // which of mtr's five facts of an address, -1 none
	MPLS    bool
	Help    bool
	Version bool

	// What mtr does not have.
	Netns        string // path of a network namespace, "" is the caller's
	Pod          string // or the pod that has it, NAMESPACE/NAME
	Strict       bool
	Explain      bool
	LossDecimals int
	Flows        int
}

func mtrDefaults() mtrOptions {
	return mtrOptions{
		Cycles: 10, Interval: time.Second, Grace: 5 * time.Second, Timeout: 10 * time.Second,
		Kind: probers.ICMP, FirstTTL: 1, MaxTTL: 30, MaxUnknown: 12, Size: 64,
		Fields: "LS NABWV", IPInfo: -1, LossDecimals: 1, Flows: 1,
	}
}

// mtrMinSize is the size of an IPv4 and an ICMP header.
const mtrMinSize = 28

// traceFrom returns what the packets have in common, and checks it where it
// will be used: in the network namespace of the calling thread.
func (o mtrOptions) traceFrom() (probers.TraceOptions, error) {
	t := probers.TraceOptions{Device: o.Interface, Mark: o.Mark, TOS: uint8(o.TOS), LocalPort: uint16(o.LocalPort)}
	pattern := byte(o.Pattern)
	if o.Pattern < 0 {
		pattern = byte(rand.IntN(256))
	}
	t.Pattern = &pattern
	if o.Interface != "" {
		if _, err := net.InterfaceByName(o.Interface); err != nil {
			return t, fmt.Errorf("no such interface: %s", o.Interface)
		}
	}
	if o.Address != "" {
		addr, err := netip.ParseAddr(o.Address)
		if err != nil {
			return t, fmt.Errorf("invalid local address: %s", o.Address)
		}
		t.Source = addr.Unmap()
	}
	return t, nil
}

// number parses a number as mtr does: decimal, not negative, less than limit.
func number(value string, limit uint64) (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimLeft(value, " \t\n\v\f\r"), "+"), 10, 64)
	if err != nil || n >= limit {
		return 0, fmt.Errorf("invalid argument: '%s'", value)
	}
	return n, nil
}

// natural sets an int from low to high; numbers outside of that are the
// nearest within.
func natural(to *int, low, high int) func(string) error {
	return func(value string) error {
		n, err := number(value, math.MaxInt32)
		*to = min(max(int(n), low), high)
		return err
	}
}

// port sets a port of at least low.
func port(to *int, low int) func(string) error {
	return func(value string) error {
		n, err := number(value, math.MaxInt32)
		if err == nil && (int(n) < low || n > math.MaxUint16) {
			err = fmt.Errorf("Illegal port number: %d", n) //nolint:staticcheck // the words of mtr
		}
		*to = int(n)
		return err
	}
}

// seconds sets a duration of more than 0 from seconds with a fraction.
func seconds(to *time.Duration) func(string) error {
	return func(value string) error {
		s, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil || math.IsNaN(s) || s > math.MaxInt32:
			return fmt.Errorf("invalid argument: '%s'", value)
		case s <= 0:
			return fmt.Errorf("wait time must be positive")
		}
		*to = max(time.Duration(s*float64(time.Second)), time.Microsecond)
		return nil
	}
}

func wholeSeconds(to *time.Duration) func(string) error {
	return func(value string) error {
		n, err := number(value, math.MaxInt32)
		*to = time.Duration(n) * time.Second
		return err
	}
}

// signed sets a number that may be negative, which mtr's manual allows and its
// parser does not.
func (o *mtrOptions) signed(to *int, high int) func(string) error {
	return func(value string) error {
		digits, negative := strings.CutPrefix(value, "-")
		if negative && o.Strict {
			digits = value
		}
		n, err := number(digits, math.MaxInt32)
		if err != nil || n > uint64(high) {
			return fmt.Errorf("invalid argument: '%s'", value)
		}
		*to = int(n)
		if negative {
			*to = -*to
		}
		return nil
	}
}

// protocol sets the kind of probe, once.
func (o *mtrOptions) protocol(k probers.Kind) func(string) error {
	return func(string) error {
		if o.Kind != probers.ICMP {
			return fmt.Errorf("-u , -T and -S are mutually exclusive")
		}
		o.Kind = k
		return nil
	}
}

// sctp says that there is none.
func (o *mtrOptions) sctp(string) error {
	if o.Kind != probers.ICMP {
		return fmt.Errorf("-u , -T and -S are mutually exclusive")
	}
	return fmt.Errorf("SCTP is not supported: use ICMP, -u (UDP) or -T (TCP)")
}

// fields sets the columns.
func (o *mtrOptions) fields(value string) error {
	table := mtrFields(1)
	if len(value) > len(table)+1 {
		return fmt.Errorf("Too many fields: %s", value) //nolint:staticcheck // the words of mtr
	}
	for i := range len(value) {
		if _, ok := table.find(value[i]); !ok {
			return fmt.Errorf("Unknown field identifier: %c", value[i]) //nolint:staticcheck // the words of mtr
		}
	}
	o.Fields = value
	return nil
}

// hostsFrom adds the hosts of a file, one per line; "-" is the standard input.
func (o *mtrOptions) hostsFrom(file string) error {
	name := file
	if file == "-" {
		name = "/dev/stdin"
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" {
			o.Hosts = append(o.Hosts, line)
		}
	}
	return nil
}
