package collectors

// maxOddPods is of how many pods of a node, of which little is reported, it is
// reported that their MTU is odd. When the CNI was reconfigured it is odd of
// all that are older, and some of them tell as much.
const maxOddPods = 10

// usual is what an interface of the endpoint is like. Those of other pods that
// have its name and kind, and hang on the same bridge, are made by the same CNI.
type usual struct {
	kind, bridge string
	mtu          uint32
}

// oddMTUs returns which interfaces of pods of which little is reported have
// another MTU than those of the others, by the inode of the namespace and the
// index of the interface. Without an endpoint there is nothing to compare with.
func (c *Interface) oddMTUs(t *topology) map[uint64]map[int32]bool {
	like := c.usual(t)
	if len(like) == 0 {
		return nil
	}
	odd := map[uint64]map[int32]bool{}
	for _, ns := range t.namespaces {
		if !c.handles.brief(ns) || len(odd) == maxOddPods {
			continue
		}
		for _, l := range t.links[ns.Inode] {
			u, ok := like[l.name]
			if !ok || l.mtu == u.mtu || l.kind != u.kind || t.bridge(ns, l, c.nsids) != u.bridge {
				continue
			}
			if odd[ns.Inode] == nil {
				odd[ns.Inode] = map[int32]bool{}
			}
			odd[ns.Inode][l.index] = true
		}
	}
	return odd
}

// usual returns what the endpoint's interfaces are like, by their names. It is
// the pod of which everything is reported, where there are others.
func (c *Interface) usual(t *topology) map[string]usual {
	like := map[string]usual{}
	if c.handles.Brief == nil {
		return like
	}
	for _, ns := range t.namespaces {
		if ns.Node || c.handles.brief(ns) {
			continue
		}
		for _, l := range t.links[ns.Inode] {
			if !l.loopback {
				like[l.name] = usual{kind: l.kind, bridge: t.bridge(ns, l, c.nsids), mtu: l.mtu}
			}
		}
	}
	return like
}
