package probers

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	keyRing    = 1 << 12 // TX timestamps that may wait to be read
	unreadKeys = keyRing / 4

	txStamps = unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_OPT_ID | unix.SOF_TIMESTAMPING_OPT_TSONLY
)

// sender sends packets on a raw socket and collects the times at which the
// kernel gave them to the device.
type sender struct {
	fd      int
	nextKey uint32 // the kernel's number for the next send
	readKey uint32 // nextKey when TX timestamps were last read
	keys    []uint64
	stamps  inbox
}

func newSender() sender {
	return sender{fd: -1, keys: make([]uint64, keyRing), stamps: newInbox(1)}
}

// send sends the packet of a probe.
func (s *sender) send(f *flight, packet []byte, to unsafe.Pointer, length uintptr) unix.Errno {
	f.txKey = s.nextKey
	if errno := sendto(s.fd, packet, to, length); errno != 0 {
		s.restartKeys()
		return errno
	}
	s.keys[s.nextKey%keyRing] = f.number
	s.nextKey++
	return 0
}

// full says whether TX timestamps must be read before the error queue is full.
func (s *sender) full() bool { return s.nextKey-s.readKey >= unreadKeys }

// restartKeys makes the kernel count sends from 0 again: whether a send that
// failed was counted depends on where it failed.
func (s *sender) restartKeys() {
	const flags = unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_OPT_TSONLY | unix.SOF_TIMESTAMPING_SOFTWARE
	_ = setOption(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, flags)
	_ = setOption(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, flags|unix.SOF_TIMESTAMPING_OPT_ID)
	s.nextKey, s.readKey = 0, 0
}

// readStamps gives the TX timestamps that wait in the error queue to their
// probes.
func (s *sender) readStamps(r *ring) {
	if s.readKey == s.nextKey {
		return
	}
	s.readKey = s.nextKey
	for {
		n := s.stamps.read(s.fd, unix.MSG_ERRQUEUE)
		for i := range n {
			c := s.stamps.control(i)
			if c.err.Origin != unix.SO_EE_ORIGIN_TIMESTAMPING || c.stamp == 0 {
				continue
			}
			key := c.err.Data
			if f := r.find(s.keys[key%keyRing]); f != nil && f.txKey == key {
				f.tx = c.stamp
			}
		}
		if n < batchSize {
			return
		}
	}
}

func (s *sender) close() {
	if s.fd >= 0 {
		closeFD(s.fd)
		s.fd = -1
	}
}
