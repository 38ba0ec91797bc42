package discovery

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
	"time"
)

// index is the nodes of the mesh as the EndpointSlices of the two Services make
// them. A change of a slice costs what changed in it, and a glance at the rest.
type index struct {
	agents string    // the agents' Service; every other slice is of endpoints
	start  time.Time // from which on the times of nodes count

	sources map[string]*source // by name
	nodes   map[string]*entry
	sorted  []*entry        // by name; nil before the first list
	dirty   []*entry        // have to be judged again
	going   map[*entry]bool // have a side that is to be forgotten
	seen    map[string]int  // endpoints by Service, of those Services that ever had a slice
	seed    maphash.Seed    // of the hashes of endpoints
	came    []arrival       // memory of put
}

// entry is one node.
type entry struct {
	name, zone      string  // of zones the one that was said last
	records         *record // the newest first
	agent, endpoint side
	node            *Node // as it was judged last; nil: never
	there           bool  // node is part of the mesh
	dirty           bool  // is in the index's list
}

func newIndex(agents string) *index {
	return &index{
		agents: agents, start: time.Now(), seed: maphash.MakeSeed(),
		sources: map[string]*source{}, nodes: map[string]*entry{}, going: map[*entry]bool{}, seen: map[string]int{},
	}
}

// node returns the node of that name, a new one if there is none.
func (x *index) node(name []byte) *entry {
	e := x.nodes[string(name)]
	if e == nil {
		e = &entry{name: string(name)}
		x.nodes[e.name] = e
		x.insert(e)
	}
	return e
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

// touch has a node judged again.
func (x *index) touch(e *entry) {
	if !e.dirty {
		e.dirty = true
		x.dirty = append(x.dirty, e)
	}
}

// judge brings the changed nodes up to date, and those whose time has come. It
// reports whether any node of the mesh is another than before.
func (x *index) judge(at time.Time) bool {
	now := at.Sub(x.start)
	for e := range x.going {
		if e.agent.overdue(now) || e.endpoint.overdue(now) {
			x.touch(e)
		}
	}
	changed := false
	for _, e := range x.dirty {
		e.dirty = false
		changed = x.judgeOne(e, now) || changed
	}
	x.dirty = nil // it is long after a list, and short ever after
	return changed
}

func (x *index) judgeOne(e *entry, now time.Duration) bool {
	agents, endpoints := members(e)
	e.agent, e.endpoint = e.agent.next(agents, now), e.endpoint.next(endpoints, now)
	state, there := nodeState(e.agent, e.endpoint)
	if delete(x.going, e); e.agent.phase == gone || e.endpoint.phase == gone {
		x.going[e] = true
	}
	if !there && e.records == nil {
		x.remove(e)
	}
	judged := Node{Name: e.name, Zone: e.zone, State: state, Addresses: e.agent.addresses}
	if pod := e.endpoint.pod; pod != nil {
		judged.Endpoint.Pod = Pod{Namespace: pod.namespace, Name: pod.name, UID: pod.uid}
	}
	if e.endpoint.phase != starting {
		judged.Endpoint.Addresses = e.endpoint.addresses
	}
	were := e.there
	e.there = there
	if e.node == nil || !e.node.SameAs(&judged) {
		node := judged // so that one that is the same as before is not allocated
		e.node = &node
		return there || were
	}
	return there != were
}

// members puts a node's records together to pods: a pod has a record for each
// of its families, and while slices are rearranged one pod is in two, of which
// the newer counts.
func members(e *entry) (agents, endpoints []member) {
	for r := e.records; r != nil; r = r.next {
		to := &endpoints
		if r.agent {
			to = &agents
		}
		i := slices.IndexFunc(*to, func(m member) bool { return m.pod.uid == r.pod.uid })
		if i < 0 {
			i = len(*to)
			*to = append(*to, member{pod: r.pod})
		}
		m := &(*to)[i]
		if !m.addrs[r.family].IsValid() {
			m.addrs[r.family] = r.addr()
		}
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
