package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// The exit codes of probe.
const (
	probeExitFailed     exitStatus = 1 // a probe failed, or none ended
	probeExitUsage      exitStatus = 2
	probeExitUnresolved exitStatus = 3 // the target has no address
	probeExitPrivilege  exitStatus = 4 // a capability is missing
)

// probePMTU is the kind that is a search of several probes.
const probePMTU = "pmtu"

// offeredProbe is a kind of probe that the command offers.
type offeredProbe struct {
	name    string
	kind    probers.Kind
	options []string // those of port, size, ttl and key-file that it has; what it has is required, but for size and ttl
	port    int      // the default, 0 if there is none
	needs   string   // what to do when a capability is missing
}

// offeredProbes returns the table of them.
func offeredProbes() []offeredProbe {
	return []offeredProbe{
		{"icmp", probers.ICMP, []string{"size", "ttl"}, 0, "icmp needs CAP_NET_RAW: run as root, or setcap cap_net_raw+ep podnet_exporter; probe tcp needs no capability"},
		{"tcp", probers.TCP, []string{"port"}, 0, "tcp needs no capability: a local policy forbids sockets"},
		{"udp", probers.UDP, []string{"port", "size", "ttl", "key-file"}, 9798, "udp needs no capability: a local policy forbids sockets"},
		{probePMTU, probers.ICMP, []string{"size"}, 0, "pmtu needs CAP_NET_RAW: run as root, or setcap cap_net_raw+ep podnet_exporter"},
		{"transfer", probers.TCPTransfer, []string{"port", "size"}, 9798, "transfer needs no capability: a local policy forbids sockets"},
	}
}

// probeFlags is what the command line tells probe.
type probeFlags struct {
	kind, target, netns, pod, output, keyFile string
	count, size, port, ttl                    int
	interval, timeout                         time.Duration
	ipv4, ipv6                                bool
	key                                       []byte
	look                                      lookup
	stdout, stderr                            io.Writer
}

// probeCommand is "probe KIND TARGET".
func probeCommand(app *kingpin.Application, stdout, stderr io.Writer) command {
	f := &probeFlags{look: systemLookup, stdout: stdout, stderr: stderr}
	cmd := app.Command("probe", "Probe a target and say in words what happened.").HelpLong(probeHelp)
	cmd.Arg("kind", "How to probe: "+strings.Join(offeredNames(), ", ")+".").Required().EnumVar(&f.kind, offeredNames()...)
	cmd.Arg("target", "An address or a name; for tcp, udp and transfer also HOST:PORT or [ADDRESS]:PORT.").Required().StringVar(&f.target)
	cmd.Flag("count", "Probes to send; 0 means until interrupted.").Short('c').Default("4").IntVar(&f.count)
	cmd.Flag("interval", "Time between two probes, at least 1ms.").Short('i').Default("1s").DurationVar(&f.interval)
	cmd.Flag("timeout", "How long to wait for an answer, at least 1ms.").Short('t').Default("1s").DurationVar(&f.timeout)
	cmd.Flag("size", "icmp and udp: size of the IP packet in bytes, headers included, 28 to 65535 (default 64). pmtu: the largest to try (default: the MTU of the route). transfer: bytes of the body, each way.").Short('s').IntVar(&f.size)
	cmd.Flag("port", "tcp, udp and transfer: port, 1 to 65535 (default of udp and transfer: 9798).").Short('p').IntVar(&f.port)
	cmd.Flag("ttl", "icmp and udp: time to live or hop limit of the packets, 1 to 255 (default 64).").IntVar(&f.ttl)
	cmd.Flag("key-file", "udp: file that holds the key of the cluster.").StringVar(&f.keyFile)
	cmd.Flag("netns", "Probe from a network namespace: /run/netns/NAME, or /proc/PID/ns/net of a process in a pod. Names are looked up outside of it.").StringVar(&f.netns)
	cmd.Flag("pod", "Probe from the network namespace of a pod of this Kubernetes node, NAMESPACE/NAME. It is found by /var/log/pods and the cgroups of processes.").StringVar(&f.pod)
	cmd.Flag("ipv4", "Use IPv4 only.").Short('4').BoolVar(&f.ipv4)
	cmd.Flag("ipv6", "Use IPv6 only.").Short('6').BoolVar(&f.ipv6)
	cmd.Flag("output", "text, or json: one object per line.").Short('o').Default("text").EnumVar(&f.output, "text", "json")
	return command{cmd.FullCommand(), f.run}
}

func offeredNames() []string {
	var names []string
	for _, k := range offeredProbes() {
		names = append(names, k.name)
	}
	return names
}

// run probes until the count is reached or ctx ends.
func (f *probeFlags) run(ctx context.Context, _ *slog.Logger) error {
	kind := offeredProbes()[slices.Index(offeredNames(), f.kind)]
	host, err := f.check(kind)
	if err != nil {
		return usageError{fmt.Errorf("probe %s: %w; try probe --help", f.kind, err)}
	}
	if f.key, err = probers.ReadKeyFile(f.keyFile); err != nil {
		return usageError{fmt.Errorf("probe %s: %w", f.kind, err)}
	}
	addr, err := f.resolve(ctx, host)
	if err != nil {
		return f.fail(probeExitUnresolved, fmt.Errorf("%s: %w", host, err))
	}
	status := probeExitFailed
	err = inNamespace(f.netns, f.pod, func() (err error) {
		status, err = f.probe(ctx, kind, netip.AddrPortFrom(addr, uint16(f.port)))
		return err
	})
	switch {
	case errors.Is(err, fs.ErrPermission):
		if says := err.Error(); strings.Contains(says, "CAP_SYS_") || strings.Contains(says, "CAP_DAC_") {
			return f.fail(probeExitPrivilege, fmt.Errorf("%w: --netns and --pod: run as root", err))
		}
		return f.fail(probeExitPrivilege, fmt.Errorf("%w: %s", err, kind.needs))
	case err != nil:
		return f.fail(probeExitFailed, err)
	case status != 0:
		return status
	}
	return nil
}

// fail says why nothing could be probed.
func (f *probeFlags) fail(status exitStatus, err error) error {
	fmt.Fprintf(f.stderr, "podnet_exporter: probe %s: %v\n", f.kind, err)
	return status
}

// check says what is wrong with the flags, and returns the host of the target.
func (f *probeFlags) check(k offeredProbe) (host string, err error) {
	has := func(option string) bool { return slices.Contains(k.options, option) }
	host = f.target
	if name, port, err := net.SplitHostPort(f.target); err == nil && has("port") && f.port == 0 {
		if f.port, err = strconv.Atoi(port); err != nil {
			return "", fmt.Errorf("port %q is not a number", port)
		}
		host = name
	}
	for _, o := range []struct {
		name             string
		value, low, high int
	}{{"port", f.port, 1, 65535}, {"size", f.size, 28, 65535}, {"ttl", f.ttl, 1, 255}} {
		switch {
		case o.value != 0 && !has(o.name):
			return "", fmt.Errorf("--%s is not an option of %s", o.name, k.name)
		case o.value != 0 && (o.value < o.low || o.value > o.high):
			return "", fmt.Errorf("--%s=%d is out of range; allowed: %d to %d", o.name, o.value, o.low, o.high)
		}
	}
	if f.port == 0 {
		f.port = k.port
	}
	switch {
	case has("key-file") != (f.keyFile != ""):
		return "", errors.New("--key-file is for udp, which needs it")
	case has("port") && f.port == 0:
		return "", errors.New("--port is missing")
	case f.count < 0:
		return "", fmt.Errorf("--count=%d is below 0", f.count)
	case f.interval < time.Millisecond || f.timeout < time.Millisecond:
		return "", errors.New("--interval and --timeout must be at least 1ms")
	case f.ipv4 && f.ipv6:
		return "", errors.New("-4 and -6 exclude each other")
	}
	return host, checkNamespace(f.netns, f.pod)
}

// resolve returns the address to probe.
func (f *probeFlags) resolve(ctx context.Context, host string) (netip.Addr, error) {
	family := 0
	switch {
	case f.ipv4:
		family = 4
	case f.ipv6:
		family = 6
	}
	addr, err := netip.ParseAddr(host)
	addrs := []netip.Addr{addr.Unmap()}
	if err != nil {
		if _, addrs, err = f.look(ctx, host); err != nil {
			return netip.Addr{}, err
		}
	}
	return chooseAddress(addrs, family)
}
