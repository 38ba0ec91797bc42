package main

import (
	"context"
	"fmt"
	"strings"
)

// severityPage is the severity of an alert that wakes somebody.
const severityPage = "page"

// Fault is one way to break the lab, and what must be said about it.
type Fault struct {
	ID    string // `lab fault inject ID`
	Title string // what is broken, one sentence

	// What the page must say. Severity is severityPage, or "" for something
	// that must not page.
	Symptom, Cause, Severity string

	// DefaultNode is broken when no node is asked for.
	DefaultNode string

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

// faults is every fault that the lab knows.
func faults() []Fault {
	return []Fault{
		{
			ID: "forward-drop", Title: "a rule of the node's FORWARD hook drops what its pods exchange with other nodes",
			Symptom: "unreachable", Cause: "firewall_drop", Severity: severityPage, DefaultNode: "n2",
			Inject: injectRules("forward-drop", forwardDrop), Clear: clearRules("forward-drop", onNode),
		},
		{
			ID: "output-drop", Title: "a rule of the node's OUTPUT hook drops what it sends to the next node and its pods",
			Symptom: "unreachable", Cause: "firewall_drop", Severity: severityPage, DefaultNode: "n1",
			Inject: injectRules("output-drop", outputDrop), Clear: clearRules("output-drop", onNode),
		},
		{
			ID: "pod-input-drop", Title: "a rule inside the endpoint pod drops everything that reaches it",
			Symptom: "unreachable", Cause: "firewall_drop", Severity: severityPage, DefaultNode: "n2",
			Inject: injectRules("pod-input-drop", podInputDrop), Clear: clearRules("pod-input-drop", inEndpoint),
		},
		{
			ID: "route-missing", Title: "the node has lost its routes to the next node's pods",
			Symptom: "unreachable", Cause: "route_missing", Severity: severityPage, DefaultNode: "n1",
			CNI:    cniVXLAN, // the fabric knows no pods; where it does, the default route leads there too
			Inject: removeRoutes, Clear: reprogram,
		},
		{
			ID: "pod-link-down", Title: "the host end of the endpoint pod's veth is down",
			Symptom: "unreachable", Cause: "interface_down", Severity: severityPage, DefaultNode: "n2",
			Inject: podLinkDown, Clear: reprogram,
		},
		{
			ID: "conntrack-full", Title: "the node's connection tracking table is at its limit",
			Symptom: "unreachable", Cause: "conntrack_full", Severity: severityPage, DefaultNode: "n2",
			Inject: inNode(fillConntrack), Clear: inNode(emptyConntrack),
		},
		{
			ID: "overlay-port-blocked", Title: "the fabric drops the tunnel's UDP port to and from the node",
			Symptom: "unreachable", Cause: "overlay_blocked", Severity: severityPage, DefaultNode: "n2",
			CNI:    cniVXLAN,
			Inject: injectRules("overlay-port-blocked", overlayBlocked), Clear: clearRules("overlay-port-blocked", onSwitch),
		},
		{
			ID: "node-down", Title: "the node is powered off",
			Symptom: "unreachable", Cause: "node_unreachable", Severity: severityPage, DefaultNode: "n2",
			Inject: powerOff, Clear: powerOn,
		},
		{
			ID: "not-listening", Title: "the process in the endpoint pod is gone",
			Symptom: "port", Cause: "not_listening", Severity: severityPage, DefaultNode: "n2",
			Inject: stopEndpoint, Clear: startEndpoint,
		},
		{
			ID: "port-filtered", Title: "a rule inside the endpoint pod drops TCP to its port, and nothing else",
			Symptom: "port", Cause: "firewall_drop", Severity: severityPage, DefaultNode: "n2",
			Inject: injectRules("port-filtered", portFiltered), Clear: clearRules("port-filtered", inEndpoint),
		},
		{
			ID: "exporter-restart", Title: "the agent is restarted", DefaultNode: "n2",
			MustSee: `process_start_time_seconds{node="NODE"} > BEGAN - 1`,
			Passes:  true, Inject: restartAgent, Clear: startAgent,
		},
		{
			ID: "prober-starved", Title: "the agent is stopped for 3 s, and then has 5 % of a CPU for 10 s", DefaultNode: "n2",
			Symptom: "prober", Cause: "prober_impaired",
			MustSee: `max_over_time(podnet_prober_impaired{node="NODE"}[2s]) == 1`,
			Passes:  true, Inject: starveAgent, Clear: feedAgent,
		},
	}
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
	return func(_ context.Context, _ *Lab, n NodePlan) error { return inNetns(n.Netns, f) }
}
