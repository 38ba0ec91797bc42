package collectors

// topology is the interfaces of several namespaces, and how they hang
// together.
type topology struct {
	namespaces []Namespace
	links      map[uint64][]link // by Namespace.Inode
}

// relation names the interfaces that one is connected to, as labels.
type relation struct {
	master                       string
	peer, peerNamespace, peerPod string
}

func (t *topology) add(ns Namespace, links []link) {
	if t.links == nil {
		t.links = map[uint64][]link{}
	}
	t.namespaces = append(t.namespaces, ns)
	t.links[ns.Inode] = links
}

// alive returns the inodes of the namespaces that were read.
func (t *topology) alive() map[uint64]bool {
	alive := make(map[uint64]bool, len(t.namespaces))
	for _, ns := range t.namespaces {
		alive[ns.Inode] = true
	}
	return alive
}

// relate finds what l in ns is connected to. What is not in a listed
// namespace stays "".
func (t *topology) relate(ns Namespace, l link, ids *nsids) relation {
	var r relation
	r.master, _ = t.name(ns.Inode, l.master)
	there, far, ok := t.farEnd(ns, l, ids)
	if !ok {
		return r
	}
	r.peer = far.name
	for _, other := range t.namespaces {
		if other.Inode == there && !other.Node {
			r.peer = other.Name() + ":" + far.name
			r.peerNamespace, r.peerPod = other.Namespace, other.Pod
		}
	}
	return r
}

// farEnd returns the other end of a veth or netkit, and the inode of the
// namespace that it is in. It is false if that is not a listed one.
func (t *topology) farEnd(ns Namespace, l link, ids *nsids) (there uint64, far link, ok bool) {
	if l.kind != "veth" && l.kind != "netkit" || l.peer == 0 {
		return 0, link{}, false
	}
	there = ns.Inode
	if l.peerNetns >= 0 {
		if there, ok = ids.resolve(ns, l.peerNetns, t.namespaces); !ok {
			return 0, link{}, false
		}
	}
	far, ok = t.link(there, l.peer)
	return there, far, ok
}

// bridge returns what the other end of an interface is a port of, "" if it is
// none, or is not known.
func (t *topology) bridge(ns Namespace, l link, ids *nsids) string {
	there, far, ok := t.farEnd(ns, l, ids)
	if !ok {
		return ""
	}
	name, _ := t.name(there, far.master)
	return name
}

// name returns the name of the interface with that index.
func (t *topology) name(inode uint64, index int32) (string, bool) {
	l, ok := t.link(inode, index)
	return l.name, ok
}

// link returns the interface with that index.
func (t *topology) link(inode uint64, index int32) (link, bool) {
	if index == 0 {
		return link{}, false
	}
	for _, l := range t.links[inode] {
		if l.index == index {
			return l, true
		}
	}
	return link{}, false
}
