package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// mtrOption is one option of the command line.
type mtrOption struct {
	short byte // 0 if there is none
	long  string
	value bool // it has one
	ours  bool // mtr does not have it: it has no short form, and cannot be abbreviated
	set   func(value string) error
}

// table returns the options of mtr and ours, which write to o.
func (o *mtrOptions) table(root bool) []mtrOption {
	flag := func(to *bool) func(string) error { return func(string) error { *to = true; return nil } }
	mode := func(m mtrMode) func(string) error { return func(string) error { o.Mode = m; return nil } }
	family := func(f int) func(string) error { return func(string) error { o.Family = f; return nil } }
	text := func(to *string) func(string) error { return func(v string) error { *to = v; return nil } }
	return []mtrOption{
		{short: 'h', long: "help", set: flag(&o.Help)},
		{short: 'v', long: "version", set: flag(&o.Version)},
		{short: '4', long: "inet", set: family(4)},
		{short: '6', long: "inet6", set: family(6)},
		{short: 'F', long: "filename", value: true, set: o.hostsFrom},
		{short: 'r', long: "report", set: mode(mtrReport)},
		{short: 'w', long: "report-wide", set: func(string) error { o.Mode, o.Wide = mtrReport, true; return nil }},
		{short: 'x', long: "xml", set: mode(mtrXML)},
		{short: 't', long: "curses", set: mode(mtrLive)},
		{short: 'l', long: "raw", set: mode(mtrRaw)},
		{short: 'C', long: "csv", set: mode(mtrCSV)},
		{short: 'j', long: "json", set: mode(mtrJSON)},
		{long: "displaymode", value: true, set: displayMode},
		{short: 'p', long: "split", set: mode(mtrSplit)},
		{short: 'n', long: "no-dns", set: flag(&o.NoDNS)},
		{short: 'b', long: "show-ips", set: flag(&o.ShowIPs)},
		{short: 'o', long: "order", value: true, set: o.fields},
		{short: 'y', long: "ipinfo", value: true, set: o.ipInfo},
		{short: 'z', long: "aslookup", set: func(string) error { o.IPInfo = 0; return nil }},
		{short: 'i', long: "interval", value: true, set: func(v string) error { return o.interval(v, root) }},
		{short: 'c', long: "report-cycles", value: true, set: func(v string) error { o.HasCycles = true; return natural(&o.Cycles, 0, math.MaxInt32)(v) }},
		{short: 's', long: "psize", value: true, set: o.signed(&o.Size, math.MaxUint16)},
		{short: 'B', long: "bitpattern", value: true, set: o.pattern},
		{short: 'Q', long: "tos", value: true, set: o.tos},
		{short: 'e', long: "mpls", set: flag(&o.MPLS)},
		{short: 'I', long: "interface", value: true, set: text(&o.Interface)},
		{short: 'a', long: "address", value: true, set: text(&o.Address)},
		{short: 'f', long: "first-ttl", value: true, set: func(v string) error { return natural(&o.FirstTTL, 1, o.MaxTTL)(v) }},
		{short: 'm', long: "max-ttl", value: true, set: o.maxTTL},
		{short: 'U', long: "max-unknown", value: true, set: natural(&o.MaxUnknown, 1, math.MaxInt32)},
		{short: 'u', long: "udp", set: o.protocol(probers.TraceUDP)},
		{short: 'T', long: "tcp", set: o.protocol(probers.TraceTCP)},
		{short: 'S', long: "sctp", set: o.sctp},
		{short: 'P', long: "port", value: true, set: port(&o.Port, 1)},
		{short: 'L', long: "localport", value: true, set: port(&o.LocalPort, 1024)},
		{short: 'Z', long: "timeout", value: true, set: wholeSeconds(&o.Timeout)},
		{short: 'G', long: "gracetime", value: true, set: seconds(&o.Grace)},
		{short: 'M', long: "mark", value: true, set: o.mark},

		{ours: true, long: "netns", value: true, set: text(&o.Netns)},
		{ours: true, long: "pod", value: true, set: text(&o.Pod)},
		{ours: true, long: "strict-compat", set: flag(&o.Strict)},
		{ours: true, long: "explain", set: flag(&o.Explain)},
		{ours: true, long: "loss-decimals", value: true, set: o.lossDecimals},
		{ours: true, long: "flows", value: true, set: o.flows},
	}
}

func displayMode(value string) error {
	n, err := number(value, math.MaxInt32)
	if err == nil && n > 2 {
		err = fmt.Errorf("value out of range (0 - 2): %s", value)
	}
	return err
}

func (o *mtrOptions) ipInfo(value string) error {
	n, err := number(value, math.MaxInt32)
	if err == nil && n > 4 {
		err = fmt.Errorf("value %d out of range (0 - 4)", n)
	}
	o.IPInfo = int(n)
	return err
}

func (o *mtrOptions) interval(value string, root bool) error {
	if err := seconds(&o.Interval)(value); err != nil {
		return err
	}
	if o.Interval < time.Second && !root {
		return errors.New("non-root users cannot request an interval < 1.0 seconds")
	}
	return nil
}

func (o *mtrOptions) pattern(value string) error {
	err := o.signed(&o.Pattern, math.MaxInt32)(value)
	if o.Pattern > math.MaxUint8 {
		o.Pattern = -1
	}
	return err
}

func (o *mtrOptions) tos(value string) error {
	n, err := number(value, math.MaxInt32)
	if o.TOS = int(n); n > math.MaxUint8 {
		o.TOS = 0
	}
	return err
}

func (o *mtrOptions) maxTTL(value string) error {
	err := natural(&o.MaxTTL, 1, math.MaxUint8)(value)
	o.FirstTTL = min(o.FirstTTL, o.MaxTTL)
	return err
}

func (o *mtrOptions) mark(value string) error {
	n, err := number(value, math.MaxUint32)
	o.Mark = uint32(n)
	return err
}

func (o *mtrOptions) lossDecimals(value string) error {
	if value != "1" && value != "2" {
		return fmt.Errorf("--loss-decimals %s: 1 or 2", value)
	}
	o.LossDecimals = int(value[0] - '0')
	return nil
}

func (o *mtrOptions) flows(value string) error {
	n, err := number(value, 17)
	if err == nil && n == 0 || err != nil {
		return fmt.Errorf("--flows %s: 1 to 16", value)
	}
	o.Flows = int(n)
	return nil
}

// parseMtr parses the options of the environment and a command line as mtr
// does, with getopt_long(3): options and hosts in any order, several short
// options in one argument, the value of an option in the same argument or the
// next, long options abbreviated. "--" ends the options. The last one of a
// repeated option counts. root is whether the caller may do what only root
// may.
func parseMtr(environment string, args []string, root bool) (mtrOptions, error) {
	o := mtrDefaults()
	o.Strict = slices.Contains(args, "--strict-compat") // it has a say in how others are read
	p := mtrParser{table: o.table(root)}
	if _, err := p.parse(strings.Fields(environment), &o); err != nil {
		return o, err
	}
	hosts, err := p.parse(args, &o)
	if err != nil {
		return o, err
	}
	if err := checkNamespace(o.Netns, o.Pod); err != nil {
		return o, usageError{err}
	}
	if o.Hosts = append(o.Hosts, hosts...); len(o.Hosts) == 0 {
		o.Hosts = []string{"localhost"}
	}
	return o, nil
}

// mtrParser is getopt_long(3) over a table.
type mtrParser struct{ table []mtrOption }

// parse sets options, and returns what is none. It stops at help or version.
func (p mtrParser) parse(args []string, o *mtrOptions) (operands []string, err error) {
	for len(args) > 0 && !o.Help && !o.Version {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return append(operands, args...), nil
		case strings.HasPrefix(arg, "--"):
			args, err = p.long(arg[2:], args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = p.short(arg[1:], args)
		default:
			operands = append(operands, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return operands, nil
}

// short sets the options of one argument, and returns the arguments after it
// that are still to be read.
func (p mtrParser) short(letters string, rest []string) ([]string, error) {
	for i := 0; i < len(letters); i++ {
		at := slices.IndexFunc(p.table, func(o mtrOption) bool { return o.short == letters[i] })
		if at < 0 || letters[i] == 0 {
			return rest, usageError{fmt.Errorf("invalid option -- '%c'", letters[i])}
		}
		option := p.table[at]
		if !option.value {
			if err := option.set(""); err != nil {
				return rest, err
			}
			continue
		}
		value := letters[i+1:]
		if value == "" {
			if len(rest) == 0 {
				return rest, usageError{fmt.Errorf("option requires an argument -- '%c'", letters[i])}
			}
			value, rest = rest[0], rest[1:]
		}
		return rest, option.set(value)
	}
	return rest, nil
}

// long sets one long option.
func (p mtrParser) long(arg string, rest []string) ([]string, error) {
	name, value, joined := strings.Cut(arg, "=")
	option, err := p.find(name)
	switch {
	case err != nil:
		return rest, err
	case joined && !option.value:
		return rest, usageError{fmt.Errorf("option '--%s' doesn't allow an argument", option.long)}
	case option.value && !joined && len(rest) == 0:
		return rest, usageError{fmt.Errorf("option '--%s' requires an argument", option.long)}
	case option.value && !joined:
		value, rest = rest[0], rest[1:]
	}
	return rest, option.set(value)
}

// find returns the option of that name, or the only one of mtr's whose name
// begins so.
func (p mtrParser) find(name string) (mtrOption, error) {
	var found []mtrOption
	for _, o := range p.table {
		if o.long == name {
			return o, nil
		}
		if !o.ours && strings.HasPrefix(o.long, name) {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return mtrOption{}, usageError{fmt.Errorf("unrecognized option '--%s'", name)}
	case 1:
		return found[0], nil
	}
	var names strings.Builder
	for _, o := range found {
		fmt.Fprintf(&names, " '--%s'", o.long)
	}
	return mtrOption{}, usageError{fmt.Errorf("option '--%s' is ambiguous; possibilities:%s", name, names.String())}
}
