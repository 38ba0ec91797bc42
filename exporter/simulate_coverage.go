package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/mesh"
)

// coverage is what the agents of a cluster see together.
type coverage struct {
	nodes             int
	least, most       int // others that probe a node all the time
	mean              float64
	zonePairs, ofThem int // pairs of different zones, in both directions: probed, and all
	joined, left      int // pairs of other nodes that a node that joins, or leaves, moves
	round             time.Duration
	seen              map[int]delays // by how many others
}

// delays is how long something took.
type delays struct {
	mean, most time.Duration
	never      bool // there are not so many
}

func (d delays) String() string {
	if d.never {
		return "–"
	}
	return fmt.Sprintf("%.1f s, %.1f s", d.mean.Seconds(), d.most.Seconds())
}

func (c coverage) row() string {
	return fmt.Sprintf("| %d | %d, %.1f, %d | %d of %d | %d, %d | %s | %s | %s | %s |",
		c.nodes, c.least, c.mean, c.most, c.zonePairs, c.ofThem, c.joined, c.left, c.round.Round(time.Second), c.seen[1], c.seen[4], c.seen[8])
}

// failures is how many failures are simulated.
const failures = 100

func coverageOf(c imagined) coverage {
	cfg := config.Default()
	nodes := c.snapshot().Nodes
	choices := choose(nodes, cfg.Mesh)
	out := coverage{nodes: c.nodes, least: c.nodes, seen: make(map[int]delays)}
	probers := make(map[string][]string, len(nodes))
	zones := make(map[[2]string]bool)
	for i, peers := range choices {
		for _, p := range peers {
			probers[p.Name] = append(probers[p.Name], nodes[i].Name)
			if p.Zone != nodes[i].Zone {
				zones[[2]string{nodes[i].Zone, p.Zone}] = true
			}
		}
	}
	for _, n := range nodes {
		by := len(probers[n.Name])
		out.least, out.most = min(out.least, by), max(out.most, by)
		out.mean += float64(by) / float64(len(nodes))
	}
	used := min(c.zones, c.nodes)
	out.zonePairs, out.ofThem = len(zones), used*(used-1)
	more := imagined{nodes: c.nodes + 1, zones: c.zones}.snapshot().Nodes
	// A node in the middle, by its name: all others keep theirs.
	middle := c.nodes / 2
	fewer := slices.Delete(slices.Clone(nodes), middle, middle+1)
	out.joined = moved(nodes, choices, more, choose(more, cfg.Mesh))
	out.left = moved(fewer, choose(fewer, cfg.Mesh), nodes, choices)
	if r := mesh.NewRotation(nodes[0].Name, nodes); c.nodes > cfg.Mesh.FullMeshLimit {
		out.round = time.Duration(r.Round()) * visitTime(cfg)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, k := range []int{1, 4, 8} {
		out.seen[k] = seenBy(k, cfg, nodes, probers, random)
	}
	return out
}

// choose returns the peers of every node.
func choose(nodes []*discovery.Node, cfg config.Mesh) [][]*discovery.Node {
	choices := make([][]*discovery.Node, len(nodes))
	var running sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		running.Go(func() {
			for i := worker; i < len(nodes); i += workers {
				choices[i] = mesh.Choose(nodes[i].Name, nodes, cfg)
			}
		})
	}
	running.Wait()
	return choices
}

// moved returns how many of the pairs that few nodes probe are not probed when
// there are more.
func moved(few []*discovery.Node, chosen [][]*discovery.Node, many []*discovery.Node, after [][]*discovery.Node) int {
	at := make(map[string]int, len(many))
	for i, n := range many {
		at[n.Name] = i
	}
	pairs := 0
	for i, peers := range chosen {
		now := after[at[few[i].Name]]
		for _, p := range peers {
			if !slices.ContainsFunc(now, func(n *discovery.Node) bool { return n.Name == p.Name }) {
				pairs++
			}
		}
	}
	return pairs
}
