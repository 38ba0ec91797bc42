package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// status prints what the lab has and how it is.
func (l *Lab) status(ctx context.Context) error {
	s, err := l.readState()
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(l.Out, "no lab is up; make one with: go run ./deploy/lab up")
		return nil
	}
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(l.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tZONE\tADDRESSES\tENDPOINT\tAPP")
	for _, n := range l.Plan.Nodes {
		fmt.Fprintf(w, "%s\t%s\t%s %s\t%s %s\t%s %s\n", n.Name, n.Zone, n.Addr4, n.Addr6, n.Endpoint4, n.Endpoint6, n.App4, n.App6)
	}
	fmt.Fprintln(w, "\nPROCESS\tPID\tSTATE\tNAMESPACE")
	for _, p := range s.Processes {
		state := "ended"
		if p.Running() {
			state = "running"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", p.Name, p.PID, state, p.Netns)
	}
	w.Flush()
	l.printTargets(ctx, w)
	if err := l.printInjected(w); err != nil {
		return err
	}
	l.printAlerts(ctx, w)
	l.printWhereToLook()
	return nil
}

func (l *Lab) printTargets(ctx context.Context, w *tabwriter.Writer) {
	targets, err := l.targets(ctx)
	if err != nil {
		fmt.Fprintf(l.Out, "\ntargets: %v\n", err)
		return
	}
	fmt.Fprintln(w, "\nTARGET\tHEALTH\tERROR")
	for _, t := range targets {
		fmt.Fprintf(w, "%s\t%s\t%s\n", t.ScrapeURL, t.Health, t.LastError)
	}
	w.Flush()
}

// printInjected prints the faults that are in the lab, if there are any.
func (l *Lab) printInjected(w *tabwriter.Writer) error {
	injected, err := l.injectedFaults()
	if err != nil || len(injected) == 0 {
		return err
	}
	fmt.Fprintln(w, "\nFAULT\tNODE\tSINCE")
	for _, i := range injected {
		fmt.Fprintf(w, "%s\t%s\t%s\n", i.ID, i.Node, i.At.Local().Format("15:04:05"))
	}
	return w.Flush()
}

func (l *Lab) printAlerts(ctx context.Context, w *tabwriter.Writer) {
	alerts, err := l.monitor().Alerts(ctx)
	if err != nil {
		fmt.Fprintf(l.Out, "\nalerts: %v\n", err)
		return
	}
	if len(alerts) == 0 {
		fmt.Fprintln(l.Out, "\nno alert fires")
		return
	}
	slices.SortFunc(alerts, func(a, b paging.Alert) int { return a.StartsAt.Compare(b.StartsAt) })
	fmt.Fprintln(w, "\nALERT\tSEVERITY\tCAUSE\tNODE\tSINCE\tSUMMARY")
	for _, a := range alerts {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", a.Labels["alertname"], a.Labels["severity"], a.Labels["cause"], a.Labels["node"],
			a.StartsAt.Local().Format("15:04:05"), strings.TrimSpace(a.Annotations["summary"]))
	}
	w.Flush()
}
