package probers

// pathFlow is one flow of a path.
type pathFlow struct {
	options *PathOptions
	hops    []hop // from FirstTTL on, as far as probes were sent
	changes uint64
	changed int // cycle of the last change
}

// hop returns the hop of a TTL, made if it is new.
func (f *pathFlow) hop(ttl int) *hop {
	i := ttl - int(f.options.FirstTTL)
	for len(f.hops) <= i {
		f.hops = append(f.hops, hop{recent: outcomes{window: f.options.Window}})
	}
	return &f.hops[i]
}

// end returns the TTL where the flow ends: at the nearest hop whose latest
// answer came from the far end, or from somebody who carries it no further. It
// is 0 while no such hop is known. Latest, so that a path that has become
// longer is followed.
func (f *pathFlow) end() int {
	for i := range f.hops {
		if s := f.hops[i].state; s == reached || s == refusing {
			return i + int(f.options.FirstTTL)
		}
	}
	return 0
}

// answering returns the TTL of the farthest hop that ever answered, one less
// than the first if none did.
func (f *pathFlow) answering() int {
	for i := len(f.hops) - 1; i >= 0; i-- {
		if f.hops[i].state != silent {
			return i + int(f.options.FirstTTL)
		}
	}
	return int(f.options.FirstTTL) - 1
}

// wants is whether a probe with this TTL has something to find out.
func (f *pathFlow) wants(ttl int) bool {
	if end := f.end(); end != 0 {
		return ttl <= end
	}
	return ttl <= f.answering()+f.options.MaxUnknown
}

// expected returns how many probes a cycle of the flow has.
func (f *pathFlow) expected() int {
	first, last := int(f.options.FirstTTL), f.end()
	switch {
	case len(f.hops) == 0:
		last = first + 9
	case last == 0:
		last = f.answering() + f.options.MaxUnknown
	}
	return max(1, min(last, int(f.options.MaxTTL))-first+1)
}

// rows returns up to which TTL the flow is reported: its end; or else one
// past the farthest hop that answered, for that is where it is lost.
func (f *pathFlow) rows() int {
	if end := f.end(); end != 0 {
		return end
	}
	return min(f.answering()+1, int(f.options.MaxTTL))
}

// add takes a Result of the probe with this TTL and serial number.
func (f *pathFlow) add(ttl int, serial uint16, r Result, cycle int) bool {
	h := f.hop(ttl)
	from := answerer(r)
	switch r.Event {
	case Late:
		h.tally.Late++
	case Duplicate:
		h.tally.Duplicates++
		return true
	default:
		if !h.ended(serial) {
			return false
		}
		h.done(r, from, f.options)
	}
	if from.IsValid() && h.answers.saw(from, r.MPLS) {
		f.change(cycle)
	}
	return true
}

// settling is for how many cycles after a change of a path further hops may
// turn out to have changed with it.
const settling = 2 * steady

// change counts a change of the path, unless it is a part of the last one.
func (f *pathFlow) change(cycle int) {
	if f.changes == 0 || cycle-f.changed > settling {
		f.changes++
	}
	f.changed = cycle
}
