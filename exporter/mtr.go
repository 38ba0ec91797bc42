package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// mtr's exit codes.
const (
	mtrExitFailed      exitStatus = 1   // wrong arguments, cannot probe; when not strict also: not resolved, nobody answered
	mtrExitInterrupted exitStatus = 130 // by SIGINT or SIGTERM, after printing what was measured
)

// mtrVersion is the version of mtr that the output is that of.
const mtrVersion = "0.95"

// mtrSilent is that nobody answered on the whole path.
var errMtrSilent = errors.New("nobody answers: neither the destination nor a router on the way")

// runMtr is the command mtr.
func runMtr(args []string, stdout, stderr io.Writer) error {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "UNKNOWNHOST"
	}
	c := mtrCommand{stdout: stdout, stderr: stderr, hostname: hostname, environment: os.Getenv("MTR_OPTIONS")}
	return c.run(args)
}

// mtrCommand is what the command works with.
type mtrCommand struct {
	stdout, stderr io.Writer
	hostname       string
	environment    string // options that come before those of the command line
}

// run does what the command line says.
func (c mtrCommand) run(args []string) error {
	o, err := parseMtr(c.environment, args, os.Geteuid() == 0)
	if err != nil {
		return c.fail(err)
	}
	switch {
	case o.Help:
		fmt.Fprint(c.stdout, mtrHelp)
		return nil
	case o.Version:
		fmt.Fprintln(c.stdout, "mtr "+mtrVersion)
		return nil
	}
	if o.Mode == mtrLive && !isTerminal(c.stdout) {
		o.Mode = mtrReport
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var worst error
	for _, host := range o.Hosts {
		if err := c.one(ctx, o, host); err != nil {
			worst = err
		}
		if errors.Is(worst, mtrExitInterrupted) || o.Mode.interactive() {
			break
		}
	}
	return worst
}

// fail says what is wrong, and returns the exit status for it.
func (c mtrCommand) fail(err error) error {
	fmt.Fprintf(c.stderr, "mtr: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(c.stderr, "Try 'mtr --help'.")
	}
	return mtrExitFailed
}

// one measures the path to one host.
func (c mtrCommand) one(ctx context.Context, o mtrOptions, host string) error {
	to, err := resolveMtr(ctx, o.Family, host)
	if err != nil {
		fmt.Fprintf(c.stderr, "mtr: Failed to resolve host: %s: %v\n", host, err)
		if o.Strict && !o.Mode.interactive() {
			return nil
		}
		return mtrExitFailed
	}
	err = inNamespace(o.Netns, o.Pod, func() error { return c.measure(ctx, o, host, to) })
	var status exitStatus
	switch {
	case errors.As(err, &status):
		return status
	case errors.Is(err, errMtrSilent) && o.Strict:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return c.fail(fmt.Errorf("%w: run as root, or give it CAP_NET_RAW; --netns and --pod need CAP_SYS_ADMIN and CAP_SYS_PTRACE too", err))
	case err != nil:
		return c.fail(err)
	}
	return nil
}

// measure does it, from the network namespace of the calling thread.
func (c mtrCommand) measure(ctx context.Context, o mtrOptions, host string, to netip.Addr) error {
	trace, err := o.traceFrom()
	if err != nil {
		return err
	}
	engine, err := probers.NewEngine()
	if err != nil {
		return err
	}
	defer engine.Close()
	engine.Batch, engine.Trace = 0, trace

	out := bufio.NewWriter(c.stdout)
	run := mtrRun{options: o, source: c.hostname, host: host, to: to, names: newMtrNames(ctx, !o.NoDNS), started: time.Now()}
	view, err := newMtrView(&run, out, engine)
	if err != nil {
		return err
	}
	s := mtrSession{run: &run, engine: engine, view: view, path: probers.NewPath(run.path())}
	s.measure(ctx)
	run.report = s.path.Report()
	if !o.Mode.interactive() {
		run.names.wait(ctx)
	}
	view.end()
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write error: %w", err)
	}
	return c.conclude(ctx, &run, engine)
}

// conclude says in words what the numbers mean, where no script reads it, and
// what comes of it.
func (c mtrCommand) conclude(ctx context.Context, run *mtrRun, engine *probers.Engine) error {
	if !run.options.Strict {
		to, prefix := c.stderr, "mtr: "
		if run.options.Explain && run.options.Mode == mtrReport {
			to, prefix = c.stdout, ""
		}
		for _, line := range explainMtr(run) {
			fmt.Fprintln(to, prefix+line)
		}
	}
	switch {
	case ctx.Err() != nil && !run.options.Mode.interactive():
		return mtrExitInterrupted
	case run.report.Silent && run.report.Cycles > 0 && engine.Err() != nil:
		return engine.Err()
	case run.report.Silent && run.report.Cycles > 0 && run.report.Hops[0].Local != probers.OK:
		return fmt.Errorf("nothing could be sent: %s", localMtr(run.report.Hops[0].Local))
	case run.report.Silent && run.report.Cycles > 0:
		return errMtrSilent
	}
	return nil
}

// resolveMtr returns the address of a host, the one that its resolver prefers.
func resolveMtr(ctx context.Context, family int, host string) (netip.Addr, error) {
	network := map[int]string{0: "ip", 4: "ip4", 6: "ip6"}[family]
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr = addr.Unmap(); family == 4 && addr.Is6() || family == 6 && addr.Is4() {
			return addr, errors.New("Address family for hostname not supported") //nolint:staticcheck // the words of mtr
		}
		return addr, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && !dns.IsNotFound:
		return netip.Addr{}, errors.New("Temporary failure in name resolution") //nolint:staticcheck // the words of mtr
	case err != nil || len(addrs) == 0:
		return netip.Addr{}, errors.New("Name or service not known") //nolint:staticcheck // the words of mtr
	}
	return addrs[0].Unmap(), nil
}
