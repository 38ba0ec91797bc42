package main

// broken are the verdicts that say that something between two nodes does not
// work.
const broken = `verdict!~"ok|lossy|impaired|expected_down"`

// failing returns the share of cycles with one of the verdicts, in the worse
// of the address families.
func failing(by, verdicts string) string {
	return "max by (" + by + ") (" +
		sumRate(by+", family", "podnet_peer_verdicts_total", byPair+", "+verdicts) + " / " +
		sumRate(by+", family", "podnet_peer_verdicts_total", byPair) + ")"
}

// wherePanels answer which nodes are affected, and in which layer.
func wherePanels() []Panel {
	shares := []Step{{0, green}, {0.01, yellow}, {0.1, orange}, {0.4, red}}
	return []Panel{
		{
			Title: "Who does not reach whom", Kind: Matrix, Width: 12, Height: 10,
			Shows:   "The share of cycles that did not work, from the node of the row to the node of the column, in the worse address family. The diagonal is the control: the node and its own pod. From 40 % a pair counts as broken.",
			Healthy: "all green, 0 %.", Sick: "a red column: that node, or its pods, cannot be reached. A red row: that node cannot reach others. Row and column: the node is off, or its uplink. A red block: two zones do not reach each other. One red cell: only that pair. A missing row: its agent is not scraped.",
			Alerts: []string{"PodNetNodeUnreachable", "PodNetPairUnreachable"},
			Unit:   "percentunit", Max: 1, Steps: shares, NoValue: "no agent reports verdicts",
			Queries: []Query{{Expr: failing("node, peer_node", broken)}},
		},
		{
			Title: "Single packets lost, source by peer", Kind: Matrix, Width: 12, Height: 10,
			Shows:   "The share of single probes, ICMP and TCP from host and pod, that failed. More sensitive than the verdicts: it sees 1 % of loss, which breaks no pair.",
			Healthy: "0 %, and now and then a trace of loss.", Sick: "the same few percent in many cells: loss on a link of the fabric that they share. A row or column: the uplink or queue of that node.",
			Unit: "percentunit", Max: 1, Steps: []Step{{0, green}, {0.001, yellow}, {0.01, orange}, {0.1, red}}, NoValue: "no agent reports probes",
			Queries: []Query{{Expr: ratio("node, peer_node", "podnet_probe_failures_total", "podnet_probe_sent_total", byPair)}},
		},
		{
			Title: "Votes: whom the peers suspect", Kind: Lines, Width: 12, Height: 8,
			Shows:   "For each suspect, the share of its peers that agree on the verdict about it.",
			Healthy: "none, at 0.", Sick: "from 50 % a node is the suspect. node_unreachable: host and pod are silent. pod_network: its host answers and its pods do not. host_network: the reverse. port_refused, port_filtered: ping works and the port does not. icmp_lost: only ping is ignored.",
			Alerts: []string{"PodNetNodeUnreachable", "PodNetOverlayBlocked", "PodNetUnreachable", "PodNetPortUnreachable", "PodNetNotListening", "PodNetICMPIgnored"},
			Unit:   "percentunit", Max: 1, Steps: []Step{{0, green}, {0.5, red}},
			Queries: []Query{{Expr: orNone(`max by (node, verdict) (podnet:votes:share{node=~"$peer_node"})`, "verdict"), Legend: "{{node}} {{verdict}}"}},
		},
		{
			Title: "Verdicts", Kind: Lines, Width: 12, Height: 8, Stacked: true,
			Shows:   "What the cycles of the chosen nodes to the chosen peers said, one verdict per cycle, peer and family.",
			Healthy: "all ok, with a thin line of lossy at most.", Sick: "the other colours name the layer. A hole: agents did not report. impaired: the probers were starved, which is not the network.",
			Alerts: []string{"PodNetUnreachable"},
			Unit:   "cps", Queries: []Query{{Expr: sumRate("verdict", "podnet_peer_verdicts_total", byPair), Legend: "{{verdict}}"}},
		},
		{
			Title: "Worst peers, by what is said about them", Kind: Lines, Width: 12, Height: 8,
			Shows:   "The fifteen pairs of peer and verdict with the largest share of cycles, over all nodes that report.",
			Healthy: "all lines at 0.", Sick: "one line high: that peer. Many lines high: they have a zone, a rack or a link in common.",
			Alerts: []string{"PodNetPortUnreachable", "PodNetICMPIgnored"},
			Unit:   "percentunit", Max: 1,
			Queries: []Query{{Expr: most(15, sumRate("peer_node, verdict", "podnet_peer_verdicts_total", byPair+", "+broken)+
				" / on (peer_node) group_left () "+sumRate("peer_node", "podnet_peer_verdicts_total", byPair)), Legend: "{{peer_node}} {{verdict}}"}},
		},
		{
			Title: "Nodes that do not reach their own pod", Kind: Lines, Width: 6, Height: 8,
			Shows:   "The control: the share of cycles in which a node and its own endpoint pod did not reach each other.",
			Healthy: "0 for every node.", Sick: "a node near 1: its bridge, the pod's veth, or a firewall on the node. The fabric and the overlay are not on this way.",
			Alerts: []string{"PodNetInterfaceDown", "PodNetUnreachable"},
			Unit:   "percentunit", Max: 1,
			Queries: []Query{{Expr: "max by (node) (" + failing("node, peer_node", `verdict="local_pod"`) + ")", Legend: "{{node}}"}},
		},
		{
			Title: "Pairs without an explanation", Kind: Lines, Width: 6, Height: 8,
			Shows:   "Broken pairs of which neither end is a suspect, no route is missing, and no packet was seen dying.",
			Healthy: "none, at 0.", Sick: "a pair: something between just these two nodes, such as a neighbour or tunnel entry, or a link of the fabric.",
			Alerts: []string{"PodNetPairUnreachable"},
			Unit:   "percentunit", Max: 1,
			Queries: []Query{{Expr: orNone(`max by (node, peer_node) (podnet:pair_unexplained:ratio1m{`+byNode+`, `+byPeer+`})`, "peer_node"), Legend: "{{node}} → {{peer_node}}"}},
		},
	}
}
