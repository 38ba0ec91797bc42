package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// faultTable is the nftables table that holds a fault's rules.
const faultTable = "podnet-fault"

// dropForwarded drops what the node's pods exchange with other nodes.
func dropForwarded(_ context.Context, _ *Cluster, n NodePlan) error {
	conn, err := netspace.Nft(n.Netns)
	if err != nil {
		return err
	}
	defer conn.CloseLasting() //nolint:errcheck // what was flushed is there
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: faultTable})
	chain := conn.AddChain(&nftables.Chain{
		Name: "FORWARD", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	for _, key := range []expr.MetaKey{expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME} {
		name := make([]byte, unix.IFNAMSIZ)
		copy(name, "eth0")
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: key, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name},
			&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop},
		}})
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("%s: rules: %w", n.Name, err)
	}
	return nil
}

// clearRules deletes a fault's table.
func clearRules(_ context.Context, _ *Cluster, n NodePlan) error {
	conn, err := netspace.Nft(n.Netns)
	if err != nil {
		return err
	}
	defer conn.CloseLasting() //nolint:errcheck // what was flushed is there
	conn.DelTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: faultTable})
	if err := conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%s: rules: %w", n.Name, err)
	}
	return nil
}

// removeRoutes takes the routes to the next node's pods from the node.
func removeRoutes(ctx context.Context, c *Cluster, n NodePlan) error {
	shares, err := c.podCIDRs(ctx)
	if err != nil {
		return err
	}
	h, err := netspace.Netlink(n.Netns)
	if err != nil {
		return err
	}
	defer h.Close()
	next := c.Plan.Nodes[n.Index%len(c.Plan.Nodes)]
	for _, dst := range shares[next.Name] {
		if err := h.RouteDel(&netlink.Route{Dst: ipNet(dst)}); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("%s: remove route to %s: %w", n.Name, dst, err)
		}
	}
	return nil
}

func restoreRoutes(ctx context.Context, c *Cluster, _ NodePlan) error { return c.programPods(ctx) }

// podLinkDown sets the host end of the endpoint pod's veth down.
func podLinkDown(ctx context.Context, c *Cluster, n NodePlan) error {
	return c.setPodLink(ctx, n, (*netlink.Handle).LinkSetDown)
}

func podLinkUp(ctx context.Context, c *Cluster, n NodePlan) error {
	return c.setPodLink(ctx, n, (*netlink.Handle).LinkSetUp)
}

// setPodLink does something to the host end of the endpoint pod's veth: the
// device of the node whose index the pod's eth0 has for its peer.
func (c *Cluster) setPodLink(ctx context.Context, n NodePlan, set func(*netlink.Handle, netlink.Link) error) error {
	pid, err := c.endpointPID(ctx, n)
	if err != nil {
		return err
	}
	peer, err := peerOf(pid, "eth0")
	if err != nil {
		return fmt.Errorf("%s: endpoint pod: %w", n.Name, err)
	}
	h, err := netspace.Netlink(n.Netns)
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByIndex(peer)
	if err != nil {
		return fmt.Errorf("%s: device %d: %w", n.Name, peer, err)
	}
	return set(h, link)
}
