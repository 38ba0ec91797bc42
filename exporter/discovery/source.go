package discovery

import (
	"hash/maphash"
	"net/netip"
	"slices"
)

// source is a slice, whatever its version.
type source struct {
	service   string
	family    uint8      // 0 IPv4, 1 IPv6
	endpoints []endpoint // of the version that was put last, in its order
}

// endpoint is one endpoint of a slice: its bytes in short, by which those of the
// next version are compared, and what became of it.
//
// Endpoints with equal hashes are taken for equal. A change is missed, until the
// next, by a chance of 1 to 2^64 for each endpoint that it is compared with: two
// or three if one of a slice changes, which at ten changes per second happens
// once in 10^10 years. Nobody can choose it, since the seed is random.
type endpoint struct {
	hash    uint64 // of the message
	*record        // nil: it was left out
}

// record is an endpoint as its node has it: what its message says, whatever else
// was known when it was read. So one whose message stays can stay, too.
type record struct {
	next               *record // of the same node
	node               *entry
	pod                *podID // shared by the pod's records
	ip                 [16]byte
	family             uint8
	agent              bool // of the agents' Service
	ready, terminating bool
	stale              bool // of a version that is being replaced, and not yet in the new one
}

// addr returns the address.
func (r *record) addr() netip.Addr { return netip.AddrFrom16(r.ip).Unmap() }

// arrival is an endpoint of a version that is put.
type arrival struct {
	hash    uint64
	message []byte
}

// put puts a version of a slice in the place of the one before, if there is
// one, and takes its endpoints from it. Those at its beginning and its end that
// are as they were before are not looked at any closer.
func (x *index) put(s *slice) {
	in := x.sources[s.Name]
	if in != nil && (in.service != s.service || in.family != s.family) {
		x.drop(s.Name)
		in = nil
	}
	if in == nil {
		in = &source{service: s.service, family: s.family}
		x.sources[s.Name] = in
	}
	now := x.arrive(s.endpoints)
	head, tail := common(in.endpoints, now)
	x.replace(in, head, len(in.endpoints)-tail, now[head:len(now)-tail])
	clear(now) // which would keep the message
	s.release()
}

// drop removes a slice.
func (x *index) drop(name string) {
	if in := x.sources[name]; in != nil {
		delete(x.sources, name)
		x.replace(in, 0, len(in.endpoints), nil)
	}
}

// arrive returns the endpoints of a slice. They are valid until the next call.
func (x *index) arrive(fields []byte) []arrival {
	x.came = x.came[:0]
	for len(fields) > 0 {
		f, rest, err := nextField(fields)
		if err != nil {
			break // cannot be: it was read before
		}
		if f.number == sliceEndpoints {
			x.came = append(x.came, arrival{maphash.Bytes(x.seed, f.bytes), f.bytes})
		}
		fields = rest
	}
	return x.came
}

// common returns how many endpoints two versions have in common at their
// beginning, and how many of the others at their end.
func common(before []endpoint, now []arrival) (head, tail int) {
	shorter := min(len(before), len(now))
	for head < shorter && before[head].hash == now[head].hash {
		head++
	}
	for tail < shorter-head && before[len(before)-1-tail].hash == now[len(now)-1-tail].hash {
		tail++
	}
	return head, tail
}

// replace puts endpoints in the place of those from one index to another.
func (x *index) replace(in *source, from, to int, now []arrival) {
	old, more := in.endpoints[from:to], 0
	for _, e := range old {
		if e.record != nil {
			e.stale = true
			more--
		}
	}
	fresh, next := make([]endpoint, len(now)), 0
	for i, a := range now {
		fresh[i].hash = a.hash
		if at := again(old[next:], a.hash); at >= 0 { // those before it were removed, most likely
			fresh[i].record = old[next+at].record
			next += at + 1
		} else {
			fresh[i].record = x.take(in, a.message)
		}
		if r := fresh[i].record; r != nil {
			r.stale = false
			more++
		}
	}
	for _, e := range old {
		if e.record != nil && e.stale {
			e.node.forget(e.record)
			x.touch(e.node)
		}
	}
	in.endpoints = slices.Replace(in.endpoints, from, to, fresh...)
	x.seen[in.service] += more
}

// again returns the index of an endpoint with that hash which is not in the new
// version already, -1 if there is none.
func again(old []endpoint, hash uint64) int {
	return slices.IndexFunc(old, func(e endpoint) bool { return e.hash == hash && (e.record == nil || e.stale) })
}

// take returns the record of an endpoint. It is nil for one without a node or
// an address, or with the address of an interface.
func (x *index) take(in *source, message []byte) *record {
	from, err := readEndpoint(message)
	if err != nil || len(from.node) == 0 {
		return nil
	}
	addr, err := netip.ParseAddr(string(from.address))
	if err != nil || addr.Zone() != "" {
		return nil
	}
	if len(from.uid) == 0 && len(from.name) == 0 { // written by hand, without a pod
		from.namespace, from.uid = nil, from.node
	}
	agent := in.service == x.agents
	if agent { // nobody asks what the pods of agents are called
		from.namespace, from.name = nil, nil
	}
	e := x.node(from.node)
	r := e.find(from, addr.As16())
	if r == nil {
		r = &record{next: e.records, node: e, pod: e.pod(from), ip: addr.As16(), family: in.family, agent: agent}
		e.records = r
		x.touch(e)
	}
	if r.ready != from.ready || r.terminating != from.terminating {
		r.ready, r.terminating = from.ready, from.terminating
		x.touch(e)
	}
	if len(from.zone) > 0 && e.zone != string(from.zone) {
		e.zone = intern(string(from.zone))
		x.touch(e)
	}
	return r
}

// find returns the record of the same pod at the same address in the version
// that is being replaced, nil if there was none.
func (e *entry) find(from wireEndpoint, ip [16]byte) *record {
	for r := e.records; r != nil; r = r.next {
		if r.stale && r.ip == ip && r.pod.is(from) {
			return r
		}
	}
	return nil
}

// pod returns the pod of an endpoint, the one that the node's other endpoints
// hold if there is one.
func (e *entry) pod(from wireEndpoint) *podID {
	for r := e.records; r != nil; r = r.next {
		if r.pod.is(from) {
			return r.pod
		}
	}
	return &podID{namespace: intern(string(from.namespace)), name: string(from.name), uid: string(from.uid)}
}

// is reports whether it is the pod of an endpoint.
func (p *podID) is(of wireEndpoint) bool {
	return p.uid == string(of.uid) && p.name == string(of.name) && p.namespace == string(of.namespace)
}

// forget takes a record out of those of its node.
func (e *entry) forget(r *record) {
	at := &e.records
	for *at != r {
		at = &(*at).next
	}
	*at = r.next
}
