package probers

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// slack is how far the wall clock may drift from the monotonic one while a
// probe is in flight before it counts as stepped, and how far a kernel RTT may
// exceed the monotonic time that passed.
const slack = int64(time.Millisecond)

// roundTrip returns the time from tx to rx, the kernel's wall-clock stamps in
// ns, of a probe that was sent and read at the given moments. A stamp of 0 is
// missing.
//
// The wall clock may be stepped on the way. The two moments tell by how much,
// and only one order of events (step before or after rx) gives an RTT that
// fits into the time that passed. Where the stamps cannot be trusted the
// result is the monotonic time that passed, an upper bound, and exact is
// false.
func roundTrip(tx, rx int64, sent, read moment) (rtt time.Duration, exact bool) {
	passed := read.mono - sent.mono
	if rx == 0 {
		return time.Duration(passed), false
	}
	if tx == 0 {
		tx = sent.wall
	}
	fits := func(ns int64) bool { return ns >= 0 && ns <= passed+slack }
	plain := rx - tx
	step := (read.wall - sent.wall) - passed
	if abs(step) <= slack+passed/1000 {
		return choose(plain, fits(plain), passed)
	}
	if fits(plain) != fits(plain-step) {
		if fits(plain) {
			return time.Duration(plain), true
		}
		return time.Duration(plain - step), true
	}
	return time.Duration(passed), false
}

func choose(kernel int64, fits bool, passed int64) (time.Duration, bool) {
	if fits {
		return time.Duration(kernel), true
	}
	return time.Duration(passed), false
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// control is what the engine wants to know of a message's control data.
type control struct {
	stamp int64                // software timestamp, wall clock in ns; 0: none
	err   unix.SockExtendedErr // Origin 0: none
	from  []byte               // sockaddr of the node that sent the ICMP error in err
}

// parseControl reads the control messages of recvmsg(2): the timestamp
// (kernel: Documentation/networking/timestamping.rst) and the extended error
// (ip(7), IP_RECVERR).
func parseControl(b []byte) control {
	var c control
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
		length := int(h.Len)
		if length < unix.SizeofCmsghdr || length > len(b) {
			return c
		}
		data := b[unix.SizeofCmsghdr:length]
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPING:
			c.stamp = stamp(data)
		case h.Level == unix.SOL_IP && h.Type == unix.IP_RECVERR,
			h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_RECVERR:
			c.setError(data)
		}
		next := (length + cmsgAlign - 1) &^ (cmsgAlign - 1)
		if next >= len(b) {
			return c
		}
		b = b[next:]
	}
	return c
}

const cmsgAlign = int(unsafe.Sizeof(uintptr(0)))

// stamp returns the first of the three times of struct scm_timestamping, the
// software one, in ns.
func stamp(data []byte) int64 {
	if len(data) < int(unsafe.Sizeof(unix.Timespec{})) {
		return 0
	}
	var t unix.Timespec
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&t)), unsafe.Sizeof(t)), data)
	return t.Nano()
}

func (c *control) setError(data []byte) {
	const size = int(unsafe.Sizeof(unix.SockExtendedErr{}))
	if len(data) < size {
		return
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&c.err)), size), data)
	c.from = data[size:]
}
