package main

import "net/netip"

// meshRouter is a router of the underlay that is no node: its name for the
// addresses that it answers from.
type meshRouter struct {
	Name      string       `yaml:"name"`
	Addresses []netip.Addr `yaml:"addresses,flow"`
}

// meshRouters returns every router of the fabric with all its addresses.
func meshRouters(p Plan) []meshRouter {
	var all []meshRouter
	for _, r := range p.Routers {
		all = append(all, meshRouter{Name: r.Name, Addresses: p.addressesOf(r)})
	}
	return all
}

// addressesOf returns a router's addresses: in its rack, and on its cables.
func (p Plan) addressesOf(r RouterPlan) []netip.Addr {
	var own []netip.Addr
	for _, n := range p.Nodes {
		if n.ToR == r.Name {
			own = append(own, n.Gateway4, n.Gateway6)
			break // the gateway is the same for all
		}
	}
	for _, c := range p.Cables {
		switch r.Name {
		case c.A:
			own = append(own, c.A4.Addr(), c.A6.Addr())
		case c.B:
			own = append(own, c.B4.Addr(), c.B6.Addr())
		}
	}
	return own
}
