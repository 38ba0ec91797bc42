package main

import "net/netip"

// routerAddresses returns the addresses of every router of the fabric, by its
// name: those that it answers from.
func routerAddresses(p Plan) map[string][]netip.Addr {
	all := map[string][]netip.Addr{}
	for _, r := range p.Routers {
		all[r.Name] = p.addressesOfRouter(r)
	}
	return all
}

// addressesOfRouter returns a router's addresses: of its rack, and of its
// cables.
func (p Plan) addressesOfRouter(r RouterPlan) []netip.Addr {
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
