package probers

import "time"

// Jitter is the mean deviation of the time that packets take, as RTP measures
// it (RFC 3550, section 6.4.1): smoothed over about 16 packets. The zero value
// has seen none.
type Jitter struct {
	last  time.Duration
	value float64 // ns
	seen  bool
}

// Add takes the time of a packet: an RTT, or the [OneWay] difference of one
// direction, of which the clocks' distance cancels out. It returns the jitter.
func (j *Jitter) Add(took time.Duration) time.Duration {
	if j.seen {
		j.value += (float64((took - j.last).Abs()) - j.value) / 16
	}
	j.last, j.seen = took, true
	return j.Value()
}

// Value returns the jitter, 0 before two packets.
func (j *Jitter) Value() time.Duration { return time.Duration(j.value) }
