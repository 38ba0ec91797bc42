package drops

import (
	"time"

	"github.com/podnet-exporter/podnet_exporter/collectors"
)

// scope is which namespaces this node has, and had not long ago. The program
// counts in no others: other nodes may run on the same kernel.
type scope struct {
	places map[uint32]*place // by inode number
}

// place is one namespace.
type place struct {
	collectors.Namespace
	gone time.Time // zero: it is there
}

func newScope() *scope { return &scope{places: make(map[uint32]*place)} }

// sync makes the program count in the namespaces of the list and no others. It
// returns the inode numbers that now belong to another namespace than before,
// whose counts are therefore somebody else's.
func (s *scope) sync(list []collectors.Namespace, now time.Time, k counter) (reused []uint32, err error) {
	there := make(map[uint32]bool, len(list))
	for _, n := range list {
		inode := uint32(n.Inode)
		there[inode] = true
		old, known := s.places[inode]
		if known && old.Name() != n.Name() {
			reused = append(reused, inode)
		}
		if !known || !old.gone.IsZero() {
			if err := k.watchNamespace(inode, true); err != nil {
				return reused, err
			}
		}
		s.places[inode] = &place{Namespace: n}
	}
	for inode, p := range s.places {
		if there[inode] || !p.gone.IsZero() {
			continue
		}
		if err := k.watchNamespace(inode, false); err != nil {
			return reused, err
		}
		p.gone = now
	}
	return reused, nil
}

// expired tells whether a namespace has been gone since before a time.
func (s *scope) expired(inode uint32, before time.Time) bool {
	p, known := s.places[inode]
	return !known || !p.gone.IsZero() && p.gone.Before(before)
}

// forget ends the namespaces that have been gone since before a time.
func (s *scope) forget(before time.Time) {
	for inode := range s.places {
		if s.expired(inode, before) {
			delete(s.places, inode)
		}
	}
}
