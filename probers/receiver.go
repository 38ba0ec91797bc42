package probers

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiver is a raw socket that only receives.
type receiver struct {
	fd      int
	polled  bool   // in the epoll set: what it receives is not batched
	stamped bool   // a message had an RX timestamp
	drops   uint32 // messages lost to a full buffer so far
	in      inbox
}

func newReceiver() receiver { return receiver{fd: -1, in: newInbox(captured)} }

// read receives as many messages as there are, up to a batch. The length of a
// message is its true one.
func (r *receiver) read() int { return r.in.read(r.fd, unix.MSG_TRUNC) }

// forget drops what came before the socket had its filters.
func (r *receiver) forget() {
	for r.in.read(r.fd, 0) > 0 {
	}
}

// stamp returns the RX timestamp of message i, 0 if it has none.
func (r *receiver) stamp(i int) int64 {
	stamp := r.in.control(i).stamp
	r.stamped = r.stamped || stamp != 0
	return stamp
}

// overflowed says whether the kernel dropped messages for want of buffer since
// the last call, and how many.
func (r *receiver) overflowed() uint32 {
	var info [unix.SK_MEMINFO_VARS]uint32
	if getsockopt(r.fd, unix.SOL_SOCKET, unix.SO_MEMINFO, unsafe.Pointer(&info), uint32(unsafe.Sizeof(info))) != 0 {
		return 0
	}
	dropped := info[unix.SK_MEMINFO_DROPS] - r.drops
	r.drops += dropped
	return dropped
}

func (r *receiver) close() {
	if r.fd >= 0 {
		closeFD(r.fd)
		r.fd = -1
	}
}
