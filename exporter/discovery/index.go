package discovery

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// index is the nodes of the mesh as the EndpointSlices of the two Services make
// them. A change of a slice costs what changed in it, and not what the mesh
// has.
type index struct {
	agents string // the agents' Service; every other slice is of endpoints

	slices map[string]*slice // by name
	nodes  map[string]*entry
	sorted []*entry        // by name; nil after a node came or went
	dirty  map[*entry]bool // have to be judged again
	going  map[*entry]bool // have a side that is to be forgotten
	seen   map[string]int  // endpoints by Service, of those Services that ever had a slice
}

// entry is one node.
type entry struct {
	records         []record
	agent, endpoint side
	node            Node // as it was judged last; Name is set always
	there           bool // node is part of the mesh
}

// record is one endpoint of one slice.
type record struct {
	in *slice
	at *endpoint
}

func newIndex(agents string) *index {
	return &index{
		agents: agents, slices: map[string]*slice{}, nodes: map[string]*entry{}, dirty: map[*entry]bool{}, going: map[*entry]bool{}, seen: map[string]int{},
	}
}

// put puts a version of a slice in the place of the one before, if there is one.
func (x *index) put(s *slice) {
	x.replace(x.slices[s.Name], s)
	x.slices[s.Name] = s
}

// drop removes a slice. The version that is given is the last one, which may
// be another than that which was put.
func (x *index) drop(s *slice) {
	x.replace(x.slices[s.Name], nil)
	delete(x.slices, s.Name)
}

// replace replaces the endpoints of one version of a slice by those of
// another; nil has none.
func (x *index) replace(before, after *slice) {
	var old, now []endpoint
	if before != nil {
		old = before.endpoints
		x.seen[before.service] -= len(old)
	}
	if after != nil {
		now = after.endpoints
		x.seen[after.service] += len(now)
	}
	for i, j := 0, 0; i < len(old) || j < len(now); {
		order := 0
		switch {
		case j == len(now):
			order = -1
		case i == len(old):
			order = 1
		default:
			order = compareEndpoints(old[i], now[j])
		}
		switch {
		case order < 0:
			x.remove(before, &old[i])
			i++
		case order > 0:
			x.add(after, &now[j])
			j++
		default:
			x.renew(&old[i], record{after, &now[j]})
			i, j = i+1, j+1
		}
	}
}

func (x *index) add(in *slice, at *endpoint) {
	e, ok := x.nodes[at.node]
	if !ok {
		e = &entry{node: Node{Name: at.node}}
		x.nodes[at.node] = e
		x.sorted = nil
	}
	e.share(at)
	e.records = append(e.records, record{in, at})
	x.dirty[e] = true
}

func (x *index) remove(in *slice, at *endpoint) {
	e := x.nodes[at.node]
	e.records = slices.DeleteFunc(e.records, func(r record) bool { return r.in == in && r.at == at })
	x.dirty[e] = true
}

// share has an endpoint hold the strings that the node's other endpoints hold:
// its own can go.
func (e *entry) share(at *endpoint) {
	at.node = e.node.Name
	for _, r := range e.records {
		if r.at.uid == at.uid {
			at.name, at.uid = r.at.name, r.at.uid
			return
		}
	}
}

// renew lets go of the old version of a slice. Most of its endpoints are what
// they were.
func (x *index) renew(old *endpoint, now record) {
	e := x.nodes[old.node]
	e.share(now.at)
	for i := range e.records {
		if e.records[i].at == old {
			e.records[i] = now
		}
	}
	if *old != *now.at {
		x.dirty[e] = true
	}
}

// judge brings the changed nodes up to date, and those whose time has come. It
// reports whether any node of the mesh is another than before.
func (x *index) judge(now time.Time) bool {
	for e := range x.going {
		if e.agent.overdue(now) || e.endpoint.overdue(now) {
			x.dirty[e] = true
		}
	}
	changed := false
	for e := range x.dirty {
		changed = x.judgeOne(e, now) || changed
	}
	clear(x.dirty)
	return changed
}

func (x *index) judgeOne(e *entry, now time.Time) bool {
	before, were := e.node, e.there
	agents, endpoints := x.members(e)
	e.agent, e.endpoint = e.agent.next(agents, now), e.endpoint.next(endpoints, now)
	state, there := nodeState(e.agent, e.endpoint)
	if delete(x.going, e); e.agent.phase == gone || e.endpoint.phase == gone {
		x.going[e] = true
	}
	if !there && len(e.records) == 0 {
		delete(x.nodes, e.node.Name)
		x.sorted = nil
	}
	e.there = there
	e.node.State = state
	e.node.Zone = cmp.Or(x.zone(e), e.node.Zone)
	e.node.Addresses = keep(e.node.Addresses, e.agent.pod.addresses())
	pod := e.endpoint.pod
	e.node.Endpoint.Pod = Pod{Namespace: pod.namespace, Name: pod.name, UID: pod.uid}
	var addrs []netip.Addr
	if e.endpoint.phase != starting {
		addrs = pod.addresses()
	}
	e.node.Endpoint.Addresses = keep(e.node.Endpoint.Addresses, addrs)
	return there != were || !sameNode(before, e.node)
}

// keep returns the old list if the new one is the same, so that the new one
// need not live.
func keep(old, now []netip.Addr) []netip.Addr {
	if slices.Equal(old, now) {
		return old
	}
	return now
}

func sameNode(a, b Node) bool {
	return a.Zone == b.Zone && a.State == b.State && a.Endpoint.Pod == b.Endpoint.Pod &&
		slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.Endpoint.Addresses, b.Endpoint.Addresses)
}

// members puts a node's records together to pods: a pod has a record for each
// of its families, and while slices are rearranged one pod is in two.
func (x *index) members(e *entry) (agents, endpoints []member) {
	for _, r := range e.records {
		to := &endpoints
		if r.in.service == x.agents {
			to = &agents
		}
		uid := cmp.Or(r.at.uid, r.at.node) // endpoints without a pod are written by hand
		i := slices.IndexFunc(*to, func(m member) bool { return m.uid == uid })
		if i < 0 {
			i = len(*to)
			*to = append(*to, member{namespace: r.at.namespace, name: r.at.name, uid: uid})
		}
		m := &(*to)[i]
		m.addrs[r.in.family] = r.at.addr
		m.terminating = m.terminating || r.at.terminating
		m.ready = m.ready || r.at.ready
	}
	for _, all := range [][]member{agents, endpoints} {
		for i := range all {
			all[i].ready = all[i].ready && !all[i].terminating
		}
	}
	return agents, endpoints
}

// zone returns the zone that the slices give the node, "" if none does.
func (x *index) zone(e *entry) string {
	for _, r := range e.records {
		if r.at.zone != "" {
			return r.at.zone
		}
	}
	return ""
}

// list returns the nodes of the mesh, sorted by name.
func (x *index) list() []Node {
	if x.sorted == nil {
		x.sorted = make([]*entry, 0, len(x.nodes))
		for _, e := range x.nodes {
			x.sorted = append(x.sorted, e)
		}
		slices.SortFunc(x.sorted, func(a, b *entry) int { return cmp.Compare(a.node.Name, b.node.Name) })
	}
	nodes := make([]Node, 0, len(x.sorted))
	for _, e := range x.sorted {
		if e.there {
			nodes = append(nodes, e.node)
		}
	}
	return nodes
}
