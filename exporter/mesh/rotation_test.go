package mesh

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

func TestEverybodyVisitsEverybody(t *testing.T) {
	for _, size := range []int{18, 100, 331} {
		t.Run(fmt.Sprintf("%d nodes", size), func(t *testing.T) {
			nodes := cluster(size, 3)
			rotations := map[string]Rotation{}
			met := map[[2]string]bool{}
			for _, n := range nodes {
				rotations[n.Name] = NewRotation(n.Name, nodes)
				for _, p := range Choose(n.Name, nodes, defaults) {
					met[[2]string{n.Name, p.Name}] = true
				}
			}
			const first = 123456789 // any
			for k := range rotations[nodes[0].Name].Round() {
				visited := map[string]bool{}
				for _, n := range nodes {
					to, ok := rotations[n.Name].Visit(first + int64(k))
					if !ok || to.Name == n.Name {
						t.Fatalf("%s visits %q, %v; want another node", n.Name, to.Name, ok)
					}
					met[[2]string{n.Name, to.Name}], visited[to.Name] = true, true
				}
				if len(visited) != size {
					t.Fatalf("in visit %d only %d nodes are visited; want every one", k, len(visited))
				}
			}
			if len(met) != size*(size-1) {
				t.Errorf("%d pairs met in a round; want all %d", len(met), size*(size-1))
			}
		})
	}
}

func TestAFullMeshHasNobodyToVisit(t *testing.T) {
	for _, size := range []int{0, 1, 2, ringPeers + 1} {
		nodes := cluster(size, 1)
		r := NewRotation("ip-10-0-0-000.internal", nodes)
		if to, ok := r.Visit(7); ok || r.Round() != 0 {
			t.Errorf("of %d nodes, %q is visited in a round of %d; want none", size, to.Name, r.Round())
		}
	}
	if _, ok := NewRotation("stranger", cluster(100, 1)).Visit(7); ok {
		t.Error("a node that is not in the mesh visits others")
	}
}

func TestVisitsOfAllNodesBeginTogether(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 3, 0, time.UTC)
	if a, b := Number(at, 5*time.Second), Number(at.Add(1999*time.Millisecond), 5*time.Second); a != b {
		t.Errorf("visits %d and %d within 5 s; want one", a, b)
	}
	if a, b := Number(at, 5*time.Second), Number(at.Add(2*time.Second), 5*time.Second); b != a+1 {
		t.Errorf("visit %d follows %d; want the next number", b, a)
	}
}

// Nodes come and go, and whoever stays is visited by everybody all the same.
func TestChurnDelaysAVisitByARoundAtMost(t *testing.T) {
	all := cluster(300, 3)
	self := all[0].Name
	met := map[string]bool{}
	number := int64(0)
	for round := range 2 {
		for range NewRotation(self, all[:200]).Round() + 100 {
			// One node leaves and another joins every tenth visit.
			gone := 100 + int(number/10)%100
			nodes := append(append(cluster(0, 1), all[:gone]...), all[gone+1:gone+101]...)
			r := NewRotation(self, nodes)
			if to, ok := r.Visit(number); ok {
				met[to.Name] = true
			}
			for _, p := range Choose(self, nodes, defaults) {
				met[p.Name] = true
			}
			number++
		}
		t.Logf("after round %d: %d nodes met", round+1, len(met))
	}
	for _, n := range all[1:100] {
		if !met[n.Name] {
			t.Errorf("%s stayed all the time, and was not visited in two rounds", n.Name)
		}
	}
}

// Nodes that change keep their places, and are visited as they are.
func TestARotationGoesOnOverNodesThatChanged(t *testing.T) {
	nodes := cluster(40, 3)
	r := NewRotation(nodes[0].Name, nodes)
	visited, _ := r.Visit(3)
	changed := slices.Clone(nodes)
	for i, n := range nodes {
		now := *n
		now.State = discovery.Cordoned
		changed[i] = &now
	}
	over, same := r.Over(changed)
	if got, _ := over.Visit(3); !same || got.Name != visited.Name || got.State != discovery.Cordoned {
		t.Errorf("visit 3 goes to %+v (%t); want %s, cordoned", got, same, visited.Name)
	}
	if _, same := r.Over(changed[1:]); same {
		t.Error("a node that left changes nothing")
	}
}
