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
	if l.kind != "veth" && l.kind != "netkit" || l.peer == 0 {
		return r
	}
	there := ns.Inode
	if l.peerNetns >= 0 {
		inode, ok := ids.resolve(ns, l.peerNetns, t.namespaces)
		if !ok {
			return r
		}
		there = inode
	}
	device, ok := t.name(there, l.peer)
	if !ok {
		return r
	}
	r.peer = device
	for _, other := range t.namespaces {
		if other.Inode == there && !other.Node {
			r.peer = other.Name() + ":" + device
			r.peerNamespace, r.peerPod = other.Namespace, other.Pod
		}
	}
	return r
}

// name returns the name of the interface with that index.
func (t *topology) name(inode uint64, index int32) (string, bool) {
	if index == 0 {
		return "", false
	}
	for _, l := range t.links[inode] {
		if l.index == index {
			return l.name, true
		}
	}
	return "", false
}
