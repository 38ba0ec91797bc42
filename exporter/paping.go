package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"os/signal"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// paping's exit codes. It has two more: 100 when there is no memory, which
// ends a Go program by other means, and 103, which nothing leads to.
const (
	papingExitOK         exitStatus = 0
	papingExitFailed     exitStatus = 1   // an attempt did not connect
	papingExitUnresolved exitStatus = 101 // the destination has no address
	papingExitInternal   exitStatus = 102 // cannot probe at all
	papingExitUsage      exitStatus = 200
)

// papingBanner is the first line that paping prints, kept because scripts skip
// or look for it. The year is that of paping's compilation.
const papingBanner = "paping v1.5.5 - Copyright (c) 2026 Mike Lovell\n\n"

// runPaping is the command paping.
func runPaping(args []string, stdout, stderr io.Writer) error {
	if status := (papingCommand{stdout, stderr, systemLookup}).run(args); status != papingExitOK {
		return status
	}
	return nil
}

// papingCommand is what the command works with.
type papingCommand struct {
	stdout, stderr io.Writer
	look           lookup
}

// run does what the command line says. What paping does not say goes to
// stderr, and not even there when strict.
func (c papingCommand) run(args []string) exitStatus {
	fmt.Fprint(c.stdout, papingBanner)
	o, err := parsePaping(args)
	if err != nil {
		fmt.Fprint(c.stdout, papingUsage)
		c.explain(o, fmt.Errorf("%w; see paping --help", err))
		return papingExitUsage
	}
	if o.Help {
		fmt.Fprint(c.stdout, papingHelp)
		return papingExitOK
	}
	host, err := resolvePaping(context.Background(), o, c.look)
	if err != nil {
		papingPrinter{c.stdout, o.Colorless}.line(papingRed, "$Cannot resolve host$")
		c.explain(o, err)
		return papingExitUnresolved
	}
	status := papingExitInternal
	if err := inNamespace(o.Netns, o.Pod, func() error { status, err = c.connect(o, host); return err }); err != nil {
		c.explain(o, err)
	}
	return status
}

// explain says what went wrong in words that paping has not.
func (c papingCommand) explain(o papingOptions, err error) {
	if !o.Strict {
		fmt.Fprintf(c.stderr, "paping: %v\n", err)
	}
}

// connect probes from the network namespace of the calling thread.
func (c papingCommand) connect(o papingOptions, host papingHost) (exitStatus, error) {
	engine, err := probers.NewEngine()
	if err != nil {
		return papingExitInternal, err
	}
	defer engine.Close()
	// The kernel makes the connection and keeps what it measured, however late
	// this program looks at it: no delay of its own can spoil a result.
	engine.Threshold = math.MaxInt64

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	to := netip.AddrPortFrom(host.addr, uint16(o.Port))
	s := papingSession{
		options: o, host: host, out: papingPrinter{c.stdout, o.Colorless}, stats: papingStats{strict: o.Strict},
		attempt: func(ctx context.Context) (probers.Result, error) {
			return probers.Once(ctx, engine, probers.Probe{Kind: probers.TCP, To: to, Timeout: o.Timeout})
		},
		explain: func(err error) { c.explain(o, err) },
	}
	return s.run(ctx), nil
}

// papingSession is one run of attempts.
type papingSession struct {
	options papingOptions
	host    papingHost
	out     papingPrinter
	stats   papingStats
	attempt func(context.Context) (probers.Result, error)
	explain func(error)
	took    time.Duration // how long the last attempt that connected took
}

// run attempts until the count is reached or ctx ends.
func (s *papingSession) run(ctx context.Context) exitStatus {
	s.out.line(papingYellow, s.connecting())
	fmt.Fprintln(s.out.w)
	for n := 0; s.options.Count <= 0 || n < s.options.Count; n++ {
		if !s.once(ctx) || !sleep(ctx, papingPause(s.took)) {
			break
		}
	}
	s.out.line(papingBlue, s.stats.text())
	return s.stats.exitStatus()
}

// connecting is the line that says what is connected to.
func (s *papingSession) connecting() string {
	if s.host.name == s.options.Destination {
		return fmt.Sprintf("Connecting to $%s$ on $TCP %d$:", s.host.name, s.options.Port)
	}
	return fmt.Sprintf("Connecting to $%s$ [$%s$] on $TCP %d$:", s.host.name, s.host.addr, s.options.Port)
}

// once makes an attempt. It is false if ctx ended before the attempt did.
func (s *papingSession) once(ctx context.Context) bool {
	start := time.Now()
	r, err := s.attempt(ctx)
	elapsed := time.Since(start)
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		s.stats.failure()
		s.out.line(papingRed, "$General failure$")
		s.explain(err)
	case r.Reason != probers.OK:
		s.stats.failure()
		s.out.line(papingRed, "$"+papingFailure(r, s.options.Strict)+"$")
	default:
		s.took = elapsed
		s.connected(r, elapsed)
	}
	return true
}

// connected reports a success. Its time is the round trip that the kernel
// measured, to a millisecond when a SYN was lost. The wait for that one is no
// part of it, unless strict, or the kernel could not tell the two apart.
func (s *papingSession) connected(r probers.Result, elapsed time.Duration) {
	took, lost := r.RTT, ""
	if r.Retransmits > 0 {
		lost = fmt.Sprintf(" retransmits=$%d$", r.Retransmits)
		if s.options.Strict {
			lost = ""
		}
		if s.options.Strict || r.RTT == 0 {
			took = elapsed
		}
	}
	s.stats.success(took)
	s.out.line(papingGreen, fmt.Sprintf("Connected to $%s$: time=$%.2fms$ protocol=$TCP$ port=$%d$%s",
		s.host.addr, milliseconds(took), s.options.Port, lost))
}

// papingPause is how long paping waits after an attempt, the last one too: for
// the rest of the second in which the last successful attempt was made, in
// whole milliseconds. A failed attempt does not count.
func papingPause(took time.Duration) time.Duration {
	return max(0, time.Second-took.Truncate(time.Millisecond))
}

// sleep is false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
