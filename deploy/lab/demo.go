package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// The demonstration's fault, and what must be said about it.
const (
	demoFault = "forward-drop"
	demoNode  = "n2"
	demoCause = "firewall_drop"
)

// How long the steps of the demonstration may take.
const (
	healthyWithin  = 90 * time.Second
	pageWithin     = 60 * time.Second
	resolvedWithin = 90 * time.Second
)

// demo makes a lab, breaks it, shows the page as a person on call would read
// it, repairs it, and removes the lab, also when it fails or is interrupted.
// With keep the repaired lab stays.
func (l *Lab) demo(ctx context.Context, keep bool) (err error) {
	defer func() {
		if !keep || err != nil {
			err = errors.Join(err, l.demoCleanup())
		}
	}()
	fmt.Fprintf(l.Out, "1. Make a cluster out of %d network namespaces: %d nodes with their pods in 2 racks, a real Prometheus and Alertmanager.\n",
		len(l.Plan.Namespaces()), len(l.Plan.Nodes))
	if err := l.up(ctx); err != nil {
		return err
	}
	fmt.Fprintln(l.Out, "\n2. Wait until every node says of every other, in both address families, that its network is fine.")
	if err := l.step(ctx, healthyWithin, "healthy", l.quiet); err != nil {
		return err
	}
	fault, err := faultByID(demoFault)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.Out, "\n3. Break %[2]s: %[3]s.\n   go run ./deploy/lab fault inject %[1]s --node %[2]s\n", demoFault, demoNode, fault.Title)
	injected := time.Now()
	if err := l.injectFault(ctx, demoFault, demoNode); err != nil {
		return err
	}
	page, err := l.waitPage(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.Out, "\n4. Somebody is paged, %.1f s after the fault:\n\n", time.Since(injected).Seconds())
	printPage(l.Out, page)
	l.printWhereToLook()
	if page.Labels["cause"] != demoCause || page.Labels["node"] != demoNode {
		return fmt.Errorf("the page names cause %q on %q; what was broken is %q on %q",
			page.Labels["cause"], page.Labels["node"], demoCause, demoNode)
	}
	fmt.Fprintln(l.Out, "\n5. Repair it, and wait until the page is taken back.")
	if err := l.clearFaults(ctx); err != nil {
		return err
	}
	if err := l.step(ctx, resolvedWithin, "resolved", l.monitor().NoPage); err != nil {
		return err
	}
	if keep {
		fmt.Fprintln(l.Out, "\nThe lab stays. Remove it with: go run ./deploy/lab down")
	}
	return nil
}

// demoCleanup removes the lab, and with it the fault.
func (l *Lab) demoCleanup() error {
	fmt.Fprintln(l.Out, "\n6. Remove the lab.")
	removed, err := l.remove()
	fmt.Fprintf(l.Out, "removed %d processes, namespaces and folders\n", len(removed))
	return err
}

// step polls until done returns nil, and says how long it took. At the
// deadline it returns done's last error.
func (l *Lab) step(ctx context.Context, within time.Duration, what string, done func(context.Context) error) error {
	start := time.Now()
	if err := paging.Poll(ctx, within, done); err != nil {
		return fmt.Errorf("not %s: %w", what, err)
	}
	fmt.Fprintf(l.Out, "   %s after %.1f s\n", what, time.Since(start).Seconds())
	return nil
}

// waitPage returns the first page that Alertmanager delivers.
func (l *Lab) waitPage(ctx context.Context) (paging.Alert, error) {
	var page paging.Alert
	err := paging.Poll(ctx, pageWithin, func(ctx context.Context) error {
		pages, err := l.monitor().Pages(ctx)
		if err != nil {
			return err
		}
		if len(pages) == 0 {
			return errors.New("nobody was paged")
		}
		page = pages[0]
		return nil
	})
	return page, err
}
