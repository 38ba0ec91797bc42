package drops

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/collectors"
)

// failing is a kernel in which some calls fail.
type failing struct {
	*fakeKernel
	rng *rand.Rand
	of  int // one in so many fails; 0: none
}

var errFull = errors.New("map is full")

func (f *failing) setNode(a netip.Addr, node uint32) error {
	if f.of > 0 && f.rng.IntN(f.of) == 0 {
		return errFull
	}
	return f.fakeKernel.setNode(a, node)
}

func (f *failing) removeNode(a netip.Addr) error {
	if f.of > 0 && f.rng.IntN(f.of) == 0 {
		return errFull
	}
	return f.fakeKernel.removeNode(a)
}

// randomPeers returns another mesh: nodes come, go, and move to addresses that
// others may have; most stay as they were.
func randomPeers(rng *rand.Rand, before []*collectors.Peer) (after []*collectors.Peer) {
	was := map[string]*collectors.Peer{}
	for _, p := range before {
		was[p.Node] = p
	}
	some := func() []netip.Addr { return []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(12))})} }
	for i := range 8 {
		name := fmt.Sprintf("n%d", i)
		p := was[name]
		switch chance := rng.IntN(10); {
		case chance == 0, chance == 1 && p == nil:
			continue
		case chance < 4 || p == nil:
			p = &collectors.Peer{Node: name, NodeAddresses: some(), PodAddresses: some(), Self: i == 3}
		}
		after = append(after, p)
	}
	return after
}

// TestChangesOfTheMeshReachTheKernel changes a mesh at random, with a kernel
// that fails now and then, and compares what the kernel was told with what it is
// told at once.
func TestChangesOfTheMeshReachTheKernel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	k := &failing{fakeKernel: newFakeKernel(), rng: rng}
	m := newMesh()
	var peers []*collectors.Peer
	var own []netip.Addr
	now := time.Unix(1_800_000_000, 0)
	for step := range 2000 {
		peers = randomPeers(rng, peers)
		if rng.IntN(5) == 0 {
			own = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(12))})}
		}
		now = now.Add(time.Second)
		if k.of = 0; step%3 == 0 {
			k.of = 4
		}
		err := m.sync(peers, own, now, k)
		if step%7 == 0 {
			m.forget(now.Add(-time.Second))
		}
		if err != nil {
			continue // to be tried again with the next mesh
		}
		fresh := newFakeKernel()
		other := newMesh()
		if err := other.sync(peers, own, now, fresh); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(names(other, fresh), names(m, k.fakeKernel)); diff != "" {
			t.Fatalf("step %d: addresses (-want +got):\n%s", step, diff)
		}
	}
}

// names returns which node has which address.
func names(m *mesh, k *fakeKernel) map[string]string {
	all := map[string]string{}
	for a, number := range k.nodes {
		all[a.String()] = m.name(number)
	}
	return all
}
