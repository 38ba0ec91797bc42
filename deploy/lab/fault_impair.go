package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// impairmentOf returns the name of the process that impairs the node's link
// for a fault.
func impairmentOf(id string, n NodePlan) string { return "impair-" + id + "-" + n.Name }

// injectImpairment returns the step that impairs what the switch of the
// node's rack sends to the node: what it switches and what it routes.
func injectImpairment(id string, i impairment) func(context.Context, *Lab, NodePlan) error {
	return func(ctx context.Context, l *Lab, n NodePlan) error {
		return l.startImpairment(ctx, impairmentOf(id, n), impairDevice{
			impairment: i, netns: onSwitch(l, n), device: "br0", direction: directionOut,
			addresses: l.Plan.behind(n), table: impairTable(id, n), limit: defaultLimit,
		})
	}
}

// clearImpairment returns the step that undoes it.
func clearImpairment(id string) func(context.Context, *Lab, NodePlan) error {
	return func(_ context.Context, l *Lab, n NodePlan) error {
		if err := l.stopProcess(impairmentOf(id, n)); err != nil {
			return err
		}
		return replaceTables(onSwitch(l, n), impairTable(id, n), nil) // if it was killed
	}
}

// impairTable names the tables of an impairment: two nodes of a rack have the
// same switch.
func impairTable(id string, n NodePlan) string { return faultTable(id) + "-" + n.Name }

// behind returns the addresses that the fabric sends to a node.
func (p Plan) behind(n NodePlan) []netip.Prefix {
	prefixes := []netip.Prefix{single(n.Addr4), single(n.Addr6)}
	if p.CNI == cniRouted {
		prefixes = append(prefixes, n.PodCIDR4, n.PodCIDR6)
	}
	return prefixes
}

// startWithin is how long a process of the lab has to begin its work.
const startWithin = 5 * time.Second

// startImpairment starts a process of that name that impairs a link, and
// returns when it does. One that runs already is ended first.
func (l *Lab) startImpairment(ctx context.Context, name string, d impairDevice) error {
	if err := d.check(); err != nil {
		return err
	}
	if err := l.stopProcess(name); err != nil {
		return err
	}
	if err := replaceTables(d.netns, d.table, nil); err != nil {
		return err
	}
	if err := l.startSelf(name, d.netns, append([]string{impairCommandName}, d.args()...)); err != nil {
		return err
	}
	return l.waitFor(ctx, name, func() (bool, error) { return hasTable(d.netns, d.table) })
}

// waitFor waits until a process of the lab has done what ready looks for.
func (l *Lab) waitFor(ctx context.Context, name string, ready func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		if ok, err := ready(); ok || err != nil {
			return err
		}
		if _, err := l.proc(name); err != nil {
			return fmt.Errorf("%w; see %s", err, l.path("log/"+name+".log"))
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%s does not begin: %w", name, err)
		}
	}
}

// hasTable reports whether a namespace has an nftables table of that name.
func hasTable(netnsName, name string) (bool, error) {
	c, err := netspace.Nft(netnsName)
	if err != nil {
		return false, err
	}
	defer c.CloseLasting() //nolint:errcheck // nothing was sent
	tables, err := c.ListTables()
	if err != nil {
		return false, fmt.Errorf("list tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == name {
			return true, nil
		}
	}
	return false, nil
}
