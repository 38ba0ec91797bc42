package main

import "github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"

// unreachableFaults are those that no packet, or not every one, gets past.
func unreachableFaults() []Fault {
	return []Fault{
		{
			ID: "forward-drop", Title: "a rule of the node's FORWARD hook drops what its pods exchange with other nodes",
			Symptom: "unreachable", Cause: "firewall_drop", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: injectRules("forward-drop", forwardDrop), Clear: clearRules("forward-drop", onNode),
		},
		{
			ID: "output-drop", Title: "a rule of the node's OUTPUT hook drops what it sends to the next node and its pods",
			Symptom: "unreachable", Cause: "firewall_drop", Severity: paging.SeverityPage, DefaultNode: "n1",
			Inject: injectRules("output-drop", outputDrop), Clear: clearRules("output-drop", onNode),
		},
		{
			ID: "pod-input-drop", Title: "a rule inside the endpoint pod drops everything that reaches it",
			Symptom: "unreachable", Cause: "firewall_drop", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: injectRules("pod-input-drop", podInputDrop), Clear: clearRules("pod-input-drop", inEndpoint),
		},
		{
			ID: "route-missing", Title: "the node has lost its routes to the next node's pods",
			Symptom: "unreachable", Cause: "route_missing", Severity: paging.SeverityPage, DefaultNode: "n1",
			CNI:    cniVXLAN, // the fabric knows no pods; where it does, the default route leads there too
			Inject: removeRoutes, Clear: reprogram,
		},
		{
			ID: "pod-link-down", Title: "the host end of the endpoint pod's veth is down",
			Symptom: "unreachable", Cause: "interface_down", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: podLinkDown, Clear: reprogram,
		},
		{
			ID: "conntrack-full", Title: "the node's connection tracking table is at its limit",
			Symptom: "unreachable", Cause: "conntrack_full", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: inNode(fillConntrack), Clear: inNode(emptyConntrack),
		},
		{
			ID: "overlay-port-blocked", Title: "the fabric drops the tunnel's UDP port to and from the node",
			Symptom: "unreachable", Cause: "overlay_blocked", Severity: paging.SeverityPage, DefaultNode: "n2",
			CNI:    cniVXLAN,
			Inject: injectRules("overlay-port-blocked", overlayBlocked), Clear: clearRules("overlay-port-blocked", onSwitch),
		},
		{
			ID: "fabric-loss", Title: "the link from the rack's switch to spine1 loses 10 % of what the switch sends",
			Symptom: "unreachable", Cause: "underlay_loss", Severity: paging.SeverityPage, DefaultNode: "n1", Suspect: spine1,
			Inject: injectRules("fabric-loss", fabricLoss), Clear: clearRules("fabric-loss", onSpine1),
		},
		{
			ID: "rack-partition", Title: "the spines drop what the node's rack and the other one send each other",
			Symptom: "unreachable", Cause: "underlay_partition", Severity: paging.SeverityPage, DefaultNode: "n1", Suspect: zonePair,
			Inject: partition, Clear: unite,
		},
		{
			ID: "node-down", Title: "the node is powered off",
			Symptom: "unreachable", Cause: "node_unreachable", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: powerOff, Clear: powerOn,
		},
	}
}

// portFaults are those that close a port of a pod that answers otherwise.
func portFaults() []Fault {
	return []Fault{
		{
			ID: "not-listening", Title: "the process in the endpoint pod is gone",
			Symptom: "port", Cause: "not_listening", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: stopEndpoint, Clear: startEndpoint,
		},
		{
			ID: "port-filtered", Title: "a rule inside the endpoint pod drops TCP to its port, and nothing else",
			Symptom: "port", Cause: "firewall_drop", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: injectRules("port-filtered", portFiltered), Clear: clearRules("port-filtered", inEndpoint),
		},
	}
}
