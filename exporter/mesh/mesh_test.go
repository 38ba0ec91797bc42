package mesh

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// cluster returns so many nodes in so many zones.
func cluster(nodes, zones int) []*discovery.Node {
	out := make([]*discovery.Node, nodes)
	for i := range out {
		out[i] = &discovery.Node{
			Name:  fmt.Sprintf("ip-10-0-%d-%03d.internal", i/256, i%256),
			Zone:  fmt.Sprintf("zone-%d", i%zones),
			State: discovery.Ready,
		}
	}
	return out
}

// all returns the choices of all nodes, as the names of their peers.
func all(nodes []*discovery.Node, cfg config.Mesh) map[string][]string {
	chosen := make([][]string, len(nodes))
	var running sync.WaitGroup
	for worker := range runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for i := worker; i < len(nodes); i += runtime.GOMAXPROCS(0) {
				chosen[i] = names(Choose(nodes[i].Name, nodes, cfg))
			}
		})
	}
	running.Wait()
	out := map[string][]string{}
	for i, n := range nodes {
		out[n.Name] = chosen[i]
	}
	return out
}

func names(nodes []*discovery.Node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.Name)
	}
	return out
}

var defaults = config.Default().Mesh

// sizes are the clusters that every property is tried on.
var sizes = []struct{ nodes, zones int }{
	{2, 1}, {10, 3}, {17, 2}, {18, 2}, {33, 2}, {100, 1}, {100, 3}, {100, 9}, {100, 20}, {1000, 40}, {5000, 3},
}

func TestEveryNodeAndEveryPairOfZonesIsProbed(t *testing.T) {
	for _, size := range sizes {
		t.Run(fmt.Sprintf("%d nodes in %d zones", size.nodes, size.zones), func(t *testing.T) {
			nodes := cluster(size.nodes, size.zones)
			choices := all(nodes, defaults)
			checkPeers(t, nodes, choices)
			checkZones(t, nodes, choices, size.zones)
		})
	}
}

// checkPeers checks that every node has its peers, and is one of enough others.
func checkPeers(t *testing.T, nodes []*discovery.Node, choices map[string][]string) {
	t.Helper()
	probedBy := map[string]int{}
	want := defaults.Peers
	if len(nodes) <= defaults.FullMeshLimit {
		want = len(nodes) - 1
	}
	for node, peers := range choices {
		if len(peers) != want || slices.Contains(peers, node) || !slices.IsSorted(peers) || len(slices.Compact(slices.Clone(peers))) != want {
			t.Fatalf("%s probes %v; want %d sorted others", node, peers, want)
		}
		for _, p := range peers {
			probedBy[p]++
		}
	}
	least, most := len(nodes), 0
	for _, n := range nodes {
		least, most = min(least, probedBy[n.Name]), max(most, probedBy[n.Name])
	}
	if least < min(ringPeers, len(nodes)-1) {
		t.Errorf("a node is probed by %d others only", least)
	}
	t.Logf("a node is probed by %d to %d others", least, most)
}

// checkZones checks that there is a probe from every zone to every other.
func checkZones(t *testing.T, nodes []*discovery.Node, choices map[string][]string, zones int) {
	t.Helper()
	zone := map[string]string{}
	for _, n := range nodes {
		zone[n.Name] = n.Zone
	}
	covered := map[[2]string]bool{}
	for node, peers := range choices {
		for _, p := range peers {
			covered[[2]string{zone[node], zone[p]}] = true
		}
	}
	for a := range zones {
		for b := range zones {
			pair := [2]string{fmt.Sprintf("zone-%d", a), fmt.Sprintf("zone-%d", b)}
			if a != b && !covered[pair] {
				t.Errorf("no node of %s probes one of %s", pair[0], pair[1])
			}
		}
	}
}

func TestANodeThatJoinsMovesFewPairs(t *testing.T) {
	for _, size := range sizes {
		if size.nodes <= defaults.FullMeshLimit || size.nodes > 1000 {
			continue
		}
		t.Run(fmt.Sprintf("%d nodes in %d zones", size.nodes, size.zones), func(t *testing.T) {
			after := cluster(size.nodes, size.zones)
			joined := size.nodes / 2
			before := slices.Delete(slices.Clone(after), joined, joined+1)
			was, is := all(before, config.Mesh{FullMeshLimit: 0, Peers: 16}), all(after, config.Mesh{FullMeshLimit: 0, Peers: 16})
			moved := 0
			for node, peers := range was {
				for _, p := range peers {
					if !slices.Contains(is[node], p) {
						moved++
					}
				}
			}
			t.Logf("%d of %d pairs moved", moved, 16*(size.nodes-1))
			if limit := 4 * defaults.Peers; moved > limit {
				t.Errorf("%d pairs moved; want at most %d", moved, limit)
			}
		})
	}
}

func TestTheChoiceDependsOnNamesAndZonesOnly(t *testing.T) {
	nodes := cluster(100, 3)
	want := names(Choose(nodes[7].Name, nodes, defaults))

	changed := cluster(100, 3)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(changed), func(i, j int) { changed[i], changed[j] = changed[j], changed[i] })
	for i := range changed {
		changed[i].State = discovery.Draining
	}
	if diff := cmp.Diff(want, names(Choose(nodes[7].Name, changed, defaults))); diff != "" {
		t.Errorf("order and state changed the choice (-before +after):\n%s", diff)
	}
	if nodes[0].Name != "ip-10-0-0-000.internal" {
		t.Error("Choose changed the list that it was given")
	}
}

func TestANodeThatIsNotListedHasPeersToo(t *testing.T) {
	if got := len(Choose("stranger", cluster(4, 1), defaults)); got != 4 {
		t.Errorf("%d peers in a small mesh; want 4", got)
	}
	if got := len(Choose("stranger", cluster(100, 3), defaults)); got != 16 {
		t.Errorf("%d peers in a large mesh; want 16", got)
	}
}

// The hashes are a protocol: agents of different versions must agree.
func TestTheChoiceStaysTheSameOverVersions(t *testing.T) {
	want := []string{
		"ip-10-0-0-001.internal", "ip-10-0-0-007.internal", "ip-10-0-0-008.internal", "ip-10-0-0-011.internal",
		"ip-10-0-0-016.internal", "ip-10-0-0-017.internal", "ip-10-0-0-027.internal", "ip-10-0-0-029.internal",
	}
	got := names(Choose("ip-10-0-0-000.internal", cluster(40, 2), config.Mesh{FullMeshLimit: 32, Peers: 8}))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Choose() (-want +got):\n%s", diff)
	}
}

// sorted returns the nodes as a snapshot has them.
func sorted(nodes []*discovery.Node) []*discovery.Node {
	slices.SortFunc(nodes, func(a, b *discovery.Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}

func BenchmarkChoose(b *testing.B) {
	nodes := sorted(cluster(5000, 3))
	for b.Loop() {
		Choose("ip-10-0-0-000.internal", nodes, defaults)
	}
}

func BenchmarkNewRotation(b *testing.B) {
	nodes := sorted(cluster(5000, 3))
	for b.Loop() {
		NewRotation("ip-10-0-0-000.internal", nodes)
	}
}

// A Chooser returns what Choose returns, however the nodes change, and the nodes
// as they are.
func TestAChooserChoosesLikeChoose(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	whole := sorted(cluster(60, 4))
	self := whole[7].Name
	c := Chooser{Self: self}
	nodes := slices.Clone(whole)
	for step := range 300 {
		nodes = slices.Clone(nodes)
		i := rng.IntN(len(nodes))
		switch n := *nodes[i]; rng.IntN(5) {
		case 0:
			n.State = discovery.Draining
			nodes[i] = &n
		case 1:
			n.Zone = fmt.Sprintf("zone-%d", rng.IntN(4))
			nodes[i] = &n
		case 2:
			nodes = slices.Delete(nodes, i, i+1)
		case 3:
			nodes = slices.Clone(whole)
		}
		cfg := defaults
		if step > 200 {
			cfg.Peers = 10
		}
		if diff := cmp.Diff(Choose(self, nodes, cfg), c.Choose(nodes, cfg)); diff != "" {
			t.Fatalf("step %d (-Choose +Chooser):\n%s", step, diff)
		}
	}
}

func BenchmarkChooser(b *testing.B) {
	nodes := sorted(cluster(5000, 3))
	c := Chooser{Self: "ip-10-0-0-000.internal"}
	for b.Loop() {
		changed := *nodes[77]
		nodes = slices.Clone(nodes)
		nodes[77] = &changed
		c.Choose(nodes, defaults)
	}
}
