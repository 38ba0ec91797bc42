package main

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// topology furnishes the namespaces of a plan.
type topology struct {
	plan     Plan
	machines map[string]*machine // by complete namespace name
}

// makeTopology makes every namespace of the plan and connects them. After an
// error what was made so far is left: netspace.Remove removes it.
func makeTopology(p Plan) error {
	t := &topology{plan: p, machines: map[string]*machine{}}
	defer t.close()
	if err := t.makeMachines(); err != nil {
		return err
	}
	if err := t.makeFabric(); err != nil {
		return err
	}
	for _, n := range p.Nodes {
		if err := t.makeNode(n); err != nil {
			return err
		}
	}
	return t.settle()
}

// settle waits until every machine takes packets for all its addresses.
func (t *topology) settle() error {
	var errs []error
	for _, m := range t.machines {
		m.settle(settleTime)
		errs = append(errs, m.err)
	}
	return errors.Join(errs...)
}

func (t *topology) close() {
	for _, m := range t.machines {
		m.close()
	}
}

func (t *topology) makeMachines() error {
	roles := map[string]role{}
	for _, n := range t.plan.Nodes {
		roles[n.Netns] = router
	}
	for _, r := range t.plan.Routers {
		roles[r.Netns] = fabric
	}
	for _, name := range t.plan.Namespaces() {
		m, err := newMachine(name, roles[name])
		if err != nil {
			return err
		}
		t.machines[name] = m
	}
	return nil
}

// at returns a machine by its short name: tor1.
func (t *topology) at(name string) *machine { return t.machines[t.plan.Netns(name)] }

// makeFabric connects routers and the monitoring host. Routers know the racks
// and the monitoring host, and, when pods are routed, the pod ranges: for
// anything else they answer "network unreachable".
func (t *topology) makeFabric() error {
	for _, r := range t.plan.Routers {
		if r.Rack != "" {
			if err := t.makeRackSwitch(r); err != nil {
				return err
			}
		}
	}
	for _, c := range t.plan.Cables {
		if err := t.makeCable(c); err != nil {
			return err
		}
	}
	mon := t.at("mon")
	mon.addr("lo", single(t.plan.Mon.Addr4))
	mon.addr("lo", single(t.plan.Mon.Addr6))
	for _, dst := range t.destinations() {
		t.routeTo(dst)
	}
	t.routeMon()
	var errs []error
	for _, r := range t.plan.Routers {
		errs = append(errs, t.machines[r.Netns].err)
	}
	return errors.Join(append(errs, mon.err)...)
}

// makeRackSwitch gives a ToR the bridge that its nodes are ports of, with the
// rack's gateway addresses.
func (t *topology) makeRackSwitch(r RouterPlan) error {
	m, off := t.machines[r.Netns], false
	m.add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0", MTU: underlayMTU}, MulticastSnooping: &off})
	m.up("br0")
	for i, n := range t.plan.Nodes {
		if n.ToR != r.Name {
			continue
		}
		if i%2 == 0 { // the rack's first node: the gateway is the same for all
			m.addr("br0", netip.PrefixFrom(n.Gateway4, n.Net4.Bits()))
			m.addr("br0", netip.PrefixFrom(n.Gateway6, n.Net6.Bits()))
		}
		if err := connect(end{t.machines[n.Netns], "eth0", underlayMTU}, end{m, n.Name, underlayMTU}); err != nil {
			return err
		}
		t.machines[n.Netns].wire("eth0")
		m.wire(n.Name)
		m.enslave(n.Name, "br0", false)
	}
	return m.err
}

func (t *topology) makeCable(c Cable) error {
	a, b := t.at(c.A), t.at(c.B)
	if err := connect(end{a, c.B, underlayMTU}, end{b, c.A, underlayMTU}); err != nil {
		return fmt.Errorf("cable %s to %s: %w", c.A, c.B, err)
	}
	a.wire(c.B)
	b.wire(c.A)
	for _, p := range []netip.Prefix{c.A4, c.A6} {
		a.addr(c.B, p)
	}
	for _, p := range []netip.Prefix{c.B4, c.B6} {
		b.addr(c.A, p)
	}
	return errors.Join(a.err, b.err)
}

// destination is something that routers know a way to.
type destination struct {
	prefix netip.Prefix
	rack   string     // where it is, "" for the monitoring host
	node   netip.Addr // next hop in the rack, invalid if the rack's own network
}

func (t *topology) destinations() []destination {
	racks := map[netip.Prefix]bool{}
	var all []destination
	for _, n := range t.plan.Nodes {
		for _, net := range []netip.Prefix{n.Net4, n.Net6} {
			if !racks[net] {
				racks[net] = true
				all = append(all, destination{prefix: net, rack: n.Rack})
			}
		}
		if t.plan.CNI == cniRouted {
			all = append(all,
				destination{prefix: n.PodCIDR4, rack: n.Rack, node: n.Addr4},
				destination{prefix: n.PodCIDR6, rack: n.Rack, node: n.Addr6})
		}
	}
	return append(all,
		destination{prefix: single(t.plan.Mon.Addr4)},
		destination{prefix: single(t.plan.Mon.Addr6)})
}

// routeTo tells every router the way to a destination: ToRs of other racks
// over both spines, spines down to its rack or to the monitoring host.
func (t *topology) routeTo(d destination) {
	for _, r := range t.plan.Routers {
		m := t.machines[r.Netns]
		switch {
		case r.Rack != "" && r.Rack == d.rack:
			if d.node.IsValid() {
				m.route(d.prefix, netip.Addr{}, via{device: "br0", gw: d.node})
			}
		default:
			m.route(d.prefix, netip.Addr{}, t.hops(r, d)...)
		}
	}
}

// hops returns the next hops of a router towards a destination that is not in
// its own rack.
func (t *topology) hops(r RouterPlan, d destination) []via {
	var hops []via
	for _, c := range t.plan.Cables {
		up := c.A == r.Name && r.Rack != ""                                    // from a ToR to a spine
		down := c.B == r.Name && d.rack != "" && t.rackOf(c.A) == d.rack       // from a spine to a ToR
		toMon := c.A == r.Name && r.Rack == "" && c.B == "mon" && d.rack == "" // from a spine to the monitoring host
		switch {
		case up || toMon:
			hops = append(hops, via{device: c.B, gw: family(d.prefix, c.B4, c.B6)})
		case down:
			hops = append(hops, via{device: c.A, gw: family(d.prefix, c.A4, c.A6)})
		}
	}
	return hops
}

func (t *topology) rackOf(name string) string {
	for _, r := range t.plan.Routers {
		if r.Name == name {
			return r.Rack
		}
	}
	return ""
}

// routeMon gives the monitoring host its default routes over both spines.
func (t *topology) routeMon() {
	var hops4, hops6 []via
	for _, c := range t.plan.Cables {
		if c.B == "mon" {
			hops4 = append(hops4, via{device: c.A, gw: c.A4.Addr()})
			hops6 = append(hops6, via{device: c.A, gw: c.A6.Addr()})
		}
	}
	t.at("mon").route(defaultRoute(t.plan.Mon.Addr4), t.plan.Mon.Addr4, hops4...)
	t.at("mon").route(defaultRoute(t.plan.Mon.Addr6), t.plan.Mon.Addr6, hops6...)
}

// family returns the address of the prefix that has the family of like.
func family(like, p4, p6 netip.Prefix) netip.Addr {
	if like.Addr().Is4() {
		return p4.Addr()
	}
	return p6.Addr()
}
