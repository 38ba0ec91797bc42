package main

// dropPanels answer what became of the packets: where probes died and why, and
// what else is dropped.
func dropPanels() []Panel {
	return []Panel{
		{
			Title: "Probe packets that died: where and why", Kind: Table, Width: 14, Height: 9,
			Shows:   "Packets of probes, of anybody's, that a kernel dropped: on which node, in which pod (none: in the node itself), at which interface, in which kernel function and why. The node is where they died, whoever sent them.",
			Healthy: "no row, or single packets.",
			Sick:    "the row with the highest rate is the cause. NETFILTER_DROP: a firewall rule, on the node or in the pod that is named. Rows of probe tcp only: a rule for the port. NO_SOCKET: nobody listens. No row although a pair is broken: the packets died outside of every kernel that has an agent, in the fabric.",
			Alerts:  []string{"PodNetFirewallDrop", "PodNetPortFiltered"},
			NoValue: "no kernel dropped a probe", Unit: "pps",
			Queries: []Query{{OnlyDuringFault: true, Expr: died(50, "node, namespace, pod, device, function, reason, probe")}},
			Columns: []Column{
				{Field: "node", Name: "died on"}, {Field: "namespace", Name: "namespace"}, {Field: "pod", Name: "pod"}, {Field: "device", Name: "interface"},
				{Field: "function", Name: "kernel function"}, {Field: "reason", Name: "reason"}, {Field: "probe", Name: "probe"}, {Field: "Value", Name: "per second"},
			},
		},
		{
			Title: "Probe packets that died: whose", Kind: Table, Width: 10, Height: 9,
			Shows:   "The same packets by who probed whom; direction is which way the packet went, reverse for replies. An empty from is an address that is no agent's or endpoint's, such as that of a tunnel.",
			Healthy: "no row, or single packets.",
			Sick:    "many rows with one node in common: that node. One row: only that pair. direction reverse only: the way back is broken.",
			Alerts:  []string{"PodNetFirewallDrop"},
			NoValue: "no kernel dropped a probe", Unit: "pps",
			Queries: []Query{{OnlyDuringFault: true, Expr: died(100, "source_node, peer_node, direction, node")}},
			Columns: []Column{
				{Field: "source_node", Name: "from"}, {Field: "peer_node", Name: "to"}, {Field: "direction", Name: "direction"},
				{Field: "node", Name: "died on"}, {Field: "Value", Name: "per second"},
			},
		},
		{
			Title: "Probe packets that died, by node and reason", Kind: Lines, Width: 12, Height: 8,
			Shows:   "The same over time: when it began.",
			Healthy: "none, at 0.", Sick: "a line that steps up at the moment of the page. A line that was there all the time is not the cause.",
			Alerts: []string{"PodNetFirewallDrop", "PodNetPortFiltered"},
			Unit:   "pps", Queries: []Query{{Expr: orNone(sumRate("node, reason", "podnet_probe_drops_total", byEnds), "reason"), Legend: "{{node}} {{reason}}"}},
		},
		{
			Title: "Probes that failed, by reason", Kind: Lines, Width: 12, Height: 8, Stacked: true,
			Shows:   "Why probes from the chosen nodes to the chosen peers failed, as the sender saw it.",
			Healthy: "none, at 0.", Sick: "timeout: dropped without a word. refused: the port is closed. no_route: this node has no route. admin_prohibited: a firewall that says so, local_denied: one on this node. host_unreachable: no neighbour.",
			Unit: "pps", Queries: []Query{{Expr: orNone(sumRate("reason", "podnet_probe_failure_reasons_total", byPair), "reason"), Legend: "{{reason}}"}},
		},
		{
			Title: "All dropped packets, by class", Kind: Lines, Width: 8, Height: 8, Stacked: true,
			Shows:   "Every packet that the kernels of the chosen nodes dropped, probes and everything else, by what kind of reason they give.",
			Healthy: "benign and a little of application (somebody tries a closed port), steady.", Sick: "policy grows: a rule began to bite. capacity: a queue, buffer or table is full. routing: no way, or no neighbour. config: MTU, checksums, a device that is down.",
			Unit: "pps", Queries: []Query{{Expr: orNone(sumRate("class", "podnet_drops_total", byNode), "class"), Legend: "{{class}}"}},
		},
		{
			Title: "All dropped packets, by reason", Kind: Lines, Width: 16, Height: 8,
			Shows:   "The fifteen most frequent reasons by node and place, those of class benign left out. An empty pod is the node itself.",
			Healthy: "low and steady lines.", Sick: "a line that steps up with the page, or one node that stands out from the others.",
			Unit: "pps", Queries: []Query{{Expr: orNone(most(15, sumRate("node, reason, device, namespace, pod", "podnet_drops_total", byNode+`, class!="benign"`)), "reason"), Legend: "{{node}} {{reason}} {{device}} {{namespace}}/{{pod}}"}},
		},
	}
}

// died returns the rates of probe packets that died, the n highest first.
func died(n int, by string) string {
	return "sort_desc(" + most(n, sumRate(by, "podnet_probe_drops_total", byEnds)+" > 0") + ")"
}
