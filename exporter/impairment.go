package main

import "time"

const (
	// impairedFor is the window over which the prober's own trouble is judged:
	// long enough for a scrape to see starvation that goes on, and shorter than
	// what makes a ticket of it, so that one pause does not.
	impairedFor = 8 * time.Second

	// impairedShare is how many probes in the window there are for each one
	// that the prober spoilt, at most, when it counts as impaired. A pause that
	// makes 100 ms' worth of probes late is more than that; a few probes that a
	// busy machine delays are less, and each of them is marked by itself.
	impairedShare = 100
)

// impairment tells whether a prober is lately its own problem: which share of
// its probes it sent late, skipped, or lost in its own sockets. The zero value
// is ready for use.
type impairment struct {
	seconds [impairedFor / time.Second]struct {
		second       int64 // of the wall clock that the counts are of
		probes, ours uint64
	}
}

// add counts probes, and how many of them the prober spoilt itself.
func (i *impairment) add(now time.Time, probes, ours uint64) {
	second := now.Unix()
	s := &i.seconds[uint64(second)%uint64(len(i.seconds))]
	if s.second != second {
		s.second, s.probes, s.ours = second, 0, 0
	}
	s.probes += probes
	s.ours += ours
}

// lately reports whether the prober spoilt more than its share in the window
// before now.
func (i *impairment) lately(now time.Time) bool {
	var probes, ours uint64
	for _, s := range i.seconds {
		if age := now.Unix() - s.second; age >= 0 && age < int64(len(i.seconds)) {
			probes += s.probes
			ours += s.ours
		}
	}
	return ours > 0 && ours*impairedShare > probes
}
