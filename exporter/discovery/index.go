package discovery

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// index is the nodes of the mesh as the EndpointSlices of the two Services make
// them. A change of a slice costs what changed in it, and a comparison for the
// rest.
type index struct {
	agents string // the agents' Service; every other slice is of endpoints

	sources map[string]*source // by name
	nodes   map[string]*entry
	sorted  []*entry        // by name; nil before the first list
	dirty   map[*entry]bool // have to be judged again
	going   map[*entry]bool // have a side that is to be forgotten
	seen    map[string]int  // endpoints by Service, of those Services that ever had a slice
	spare   []*entry        // memory of a source's nodes, for the next one
}

// source is a slice, whatever its version.
type source struct {
	name, service string
	family        uint8    // 0 IPv4, 1 IPv6
	version       uint32   // counts what was put
	nodes         []*entry // one for each endpoint
}

// entry is one node.
type entry struct {
	name, zone      string
	records         []record
	agent, endpoint side
	node            *Node // as it was judged last; nil: never
	there           bool  // node is part of the mesh
}

// record is one endpoint of one slice.
type record struct {
	in                 *source
	version            uint32 // of the source that it was in last
	ready, terminating bool
	pod                *podName // shared by the pod's records; nil: no pod is meant
	addr               netip.Addr
}

type podName struct{ namespace, name, uid string }

func newIndex(agents string) *index {
	return &index{
		agents: agents, sources: map[string]*source{}, nodes: map[string]*entry{}, dirty: map[*entry]bool{}, going: map[*entry]bool{}, seen: map[string]int{},
	}
}

// put puts a version of a slice in the place of the one before, if there is
// one, and takes its endpoints from it.
func (x *index) put(s *slice) {
	in := x.sources[s.Name]
	if in != nil && (in.service != s.service || in.family != s.family) {
		x.drop(s.Name)
		in = nil
	}
	if in == nil {
		in = &source{name: s.Name, service: s.service, family: s.family}
		x.sources[s.Name] = in
	}
	before := in.nodes
	in.version, in.nodes = in.version+1, x.spare[:0]
	for rest := s.endpoints; len(rest) > 0; {
		var f wireField
		var err error
		if f, rest, err = nextField(rest); err != nil {
			break // cannot be: it was read before
		}
		if e, err := readEndpoint(f.bytes); err == nil {
			x.take(in, e)
		}
	}
	s.endpoints = nil
	x.sweep(in, before)
	x.seen[in.service] += len(in.nodes) - len(before)
}

// drop removes a slice.
func (x *index) drop(name string) {
	in := x.sources[name]
	if in == nil {
		return
	}
	delete(x.sources, name)
	x.seen[in.service] -= len(in.nodes)
	in.version++
	x.sweep(in, in.nodes)
}

// take takes an endpoint that is in the present version of a slice. One without
// node or address is left out.
func (x *index) take(in *source, from wireEndpoint) {
	if len(from.node) == 0 {
		return
	}
	e := x.nodes[string(from.node)]
	if e == nil || !e.renew(in, from, x.dirty) {
		addr, err := netip.ParseAddr(string(from.address))
		if err != nil {
			return
		}
		if e == nil {
			e = &entry{name: string(from.node)}
			x.nodes[e.name] = e
			x.insert(e)
		}
		e.records = append(e.records, record{
			in: in, version: in.version, ready: from.ready, terminating: from.terminating, pod: e.pod(from), addr: addr.Unmap(),
		})
		x.dirty[e] = true
	}
	if len(from.zone) > 0 && e.zone != string(from.zone) {
		e.zone = intern(string(from.zone))
		x.dirty[e] = true
	}
	in.nodes = append(in.nodes, e)
}

// renew takes an endpoint that was in the version before too, which most were.
// It is false if it was not.
func (e *entry) renew(in *source, from wireEndpoint, dirty map[*entry]bool) bool {
	for i := range e.records {
		r := &e.records[i]
		if r.in != in || r.version == in.version || !r.same(from) {
			continue
		}
		if r.ready != from.ready || r.terminating != from.terminating {
			dirty[e] = true
		}
		r.version, r.ready, r.terminating = in.version, from.ready, from.terminating
		return true
	}
	return false
}

// same reports whether it is the same pod, at the same address.
func (r *record) same(from wireEndpoint) bool {
	var pod podName
	if r.pod != nil {
		pod = *r.pod
	}
	if pod.uid != string(from.uid) || pod.name != string(from.name) || pod.namespace != string(from.namespace) {
		return false
	}
	var text [48]byte
	return string(r.addr.AppendTo(text[:0])) == string(from.address)
}

// pod returns the pod of an endpoint, the one that the node's other endpoints
// hold if there is one.
func (e *entry) pod(from wireEndpoint) *podName {
	if len(from.uid) == 0 && len(from.name) == 0 {
		return nil
	}
	for _, r := range e.records {
		if r.pod != nil && r.pod.uid == string(from.uid) {
			return r.pod
		}
	}
	return &podName{namespace: intern(string(from.namespace)), name: string(from.name), uid: string(from.uid)}
}

// sweep removes the endpoints of these nodes that are in the source no more.
func (x *index) sweep(in *source, before []*entry) {
	for i, e := range before {
		were := len(e.records)
		e.records = slices.DeleteFunc(e.records, func(r record) bool { return r.in == in && r.version != in.version })
		if len(e.records) < were {
			x.dirty[e] = true
		}
		before[i] = nil
	}
	x.spare = before[:0]
}

// insert puts a new node into the sorted list, and remove takes it out.
func (x *index) insert(e *entry) {
	if x.sorted == nil {
		return // sorted when it is listed
	}
	i, _ := slices.BinarySearchFunc(x.sorted, e.name, byName)
	x.sorted = slices.Insert(x.sorted, i, e)
}

func (x *index) remove(e *entry) {
	delete(x.nodes, e.name)
	if i, found := slices.BinarySearchFunc(x.sorted, e.name, byName); found {
		x.sorted = slices.Delete(x.sorted, i, i+1)
	}
}

func byName(e *entry, name string) int { return cmp.Compare(e.name, name) }

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
	agents, endpoints := x.members(e)
	e.agent, e.endpoint = e.agent.next(agents, now), e.endpoint.next(endpoints, now)
	state, there := nodeState(e.agent, e.endpoint)
	if delete(x.going, e); e.agent.phase == gone || e.endpoint.phase == gone {
		x.going[e] = true
	}
	if !there && len(e.records) == 0 {
		x.remove(e)
	}
	var before Node
	if e.node != nil {
		before = *e.node
	}
	pod := e.endpoint.pod
	judged := Node{
		Name: e.name, Zone: e.zone, State: state,
		Addresses: keep(before.Addresses, e.agent.pod.addresses()),
		Endpoint:  Endpoint{Pod: Pod{Namespace: pod.namespace, Name: pod.name, UID: pod.uid}},
	}
	if e.endpoint.phase != starting {
		judged.Endpoint.Addresses = keep(before.Endpoint.Addresses, pod.addresses())
	}
	were := e.there
	e.there = there
	if e.node == nil || !before.SameAs(&judged) {
		e.node = &judged
		return there || were
	}
	return there != were
}

// keep returns the old list if the new one is the same, so that the new one
// need not live.
func keep(old, now []netip.Addr) []netip.Addr {
	if slices.Equal(old, now) {
		return old
	}
	return now
}

// members puts a node's records together to pods: a pod has a record for each
// of its families, and while slices are rearranged one pod is in two.
func (x *index) members(e *entry) (agents, endpoints []member) {
	for _, r := range e.records {
		to := &endpoints
		if r.in.service == x.agents {
			to = &agents
		}
		pod := podName{uid: e.name} // endpoints without a pod are written by hand
		if r.pod != nil {
			pod = *r.pod
		}
		i := slices.IndexFunc(*to, func(m member) bool { return m.uid == pod.uid })
		if i < 0 {
			i = len(*to)
			*to = append(*to, member{namespace: pod.namespace, name: pod.name, uid: pod.uid})
		}
		m := &(*to)[i]
		m.addrs[r.in.family] = r.addr
		m.terminating = m.terminating || r.terminating
		m.ready = m.ready || r.ready
	}
	for _, all := range [][]member{agents, endpoints} {
		for i := range all {
			all[i].ready = all[i].ready && !all[i].terminating
		}
	}
	return agents, endpoints
}

// list returns the nodes of the mesh, sorted by name. A node that is what it was
// in the list before is the same one.
func (x *index) list() []*Node {
	if x.sorted == nil {
		x.sorted = slices.SortedFunc(maps.Values(x.nodes), func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	}
	nodes := make([]*Node, 0, len(x.sorted)+1) // this node may have to be added
	for _, e := range x.sorted {
		if e.there {
			nodes = append(nodes, e.node)
		}
	}
	return nodes
}
