package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// Fault is one way to break the lab, and what must be said about it.
type Fault struct {
	ID    string // `lab fault inject ID`
	Title string // what is broken, one sentence

	// What the page must say. Severity is paging.SeverityPage, or "" for something
	// that must not page.
	Symptom, Cause, Severity string

	// DefaultNode is broken when no node is asked for.
	DefaultNode string

	// Suspect returns what the page must name instead of the node: a router,
	// or a pair of zones. Nil means the node itself.
	Suspect func(p Plan, n NodePlan) string

	// CNI is the only way of connecting pods in which this breaks anything;
	// "" is any.
	CNI string

	// MustSee is a PromQL expression that must have a result while or after
	// the fault is there, with NODE for the node and BEGAN for the Unix time
	// in seconds at which injection began; "" asks for nothing. It
	// shows that a fault which must not page was there at all.
	MustSee string

	// Passes says that the fault is over when Inject returns.
	Passes bool

	// Inject breaks the node, and again changes nothing.
	Inject func(ctx context.Context, l *Lab, n NodePlan) error

	// Clear puts right what Inject did, all of it or the part that was done
	// before Inject was interrupted; where nothing is broken it does nothing.
	Clear func(ctx context.Context, l *Lab, n NodePlan) error
}

// faults is every fault that the lab knows, in the order of their groups.
func faults() []Fault {
	return slices.Concat(unreachableFaults(), portFaults(), mtuFaults(), slowFaults(), quietFaults())
}

// faultByID returns the fault of that name. The error lists those that are.
func faultByID(id string) (Fault, error) {
	var known []string
	for _, f := range faults() {
		if f.ID == id {
			return f, nil
		}
		known = append(known, f.ID)
	}
	return Fault{}, fmt.Errorf("no fault %q; there are %s", id, strings.Join(known, ", "))
}

// nodeFor returns the node that a fault breaks: the one asked for, or its
// default. The error lists the nodes that are.
func (l *Lab) nodeFor(f Fault, asked string) (NodePlan, error) {
	if asked == "" {
		asked = f.DefaultNode
	}
	n, ok := l.Plan.Node(asked)
	if !ok {
		var known []string
		for _, n := range l.Plan.Nodes {
			known = append(known, n.Name)
		}
		return NodePlan{}, fmt.Errorf("no node %q in the lab; there are %s", asked, strings.Join(known, ", "))
	}
	return n, nil
}

// suspect returns what the page must name when the fault breaks a node.
func (f Fault) suspect(p Plan, n NodePlan) string {
	if f.Suspect == nil {
		return n.Name
	}
	return f.Suspect(p, n)
}

// applies returns an error if the fault breaks nothing in this lab.
func (l *Lab) applies(f Fault) error {
	if f.CNI != "" && f.CNI != l.Plan.CNI {
		return fmt.Errorf("%s breaks nothing with --cni=%s, only with --cni=%s", f.ID, l.Plan.CNI, f.CNI)
	}
	return nil
}

// next returns the node after n in the plan, the first one after the last: the
// far side of faults between two nodes.
func (p Plan) next(n NodePlan) NodePlan { return p.Nodes[n.Index%len(p.Nodes)] }

// inNode makes a step out of f, run inside the node's namespace.
func inNode(f func() error) func(context.Context, *Lab, NodePlan) error {
	return func(_ context.Context, _ *Lab, n NodePlan) error { return netspace.In(n.Netns, f) }
}
