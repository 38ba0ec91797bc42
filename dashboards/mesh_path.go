package main

// pathPanels answer where on the way the time, the order or the packets go.
func pathPanels() []Panel {
	return []Panel{
		{
			Title: "Peers that find a node slow", Kind: Lines, Width: 12, Height: 8,
			Shows:   "The share of a node's peers for which every way to it takes more than twice the best of the last hours and 10 ms more.",
			Healthy: "none, at 0.", Sick: "above 50 % for one node: that node, or its uplink. The three panels that follow say why.",
			Alerts: []string{"PodNetSlow", "PodNetQueueingDelay", "PodNetOneWayDelay"},
			Unit:   "percentunit", Max: 1, Steps: []Step{{0, green}, {0.5, red}},
			Queries: []Query{{Expr: orNone(`max by (node) (podnet:votes:share{verdict="slow"})`, "node"), Legend: "{{node}}"}},
		},
		{
			Title: "Packets that wait in queues", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Packets in the queues of the chosen nodes' interfaces and of their pods', the ten longest.",
			Healthy: "0, with short spikes.", Sick: "a queue that stays: the node sends more than that interface, or a limit on it, lets out, and everything that leaves by it is late.",
			Alerts: []string{"PodNetQueueingDelay"},
			Unit:   "short",
			// A veth has no queue, so the lab's nodes have none.
			Queries: []Query{{OnlyDuringFault: true, Expr: most(10, `max by (node, device, namespace, pod, kind) (podnet_qdisc_backlog_packets{`+byNode+`})`), Legend: "{{node}} {{device}} {{namespace}}/{{pod}} {{kind}}"}},
		},
		{
			Title: "Later than at best, by direction", Kind: Lines, Width: 12, Height: 8,
			Shows:   "How much longer packets take to the chosen peers (forward) and back (reverse) than at best in the last minutes, by the clocks of both ends, the ten latest.",
			Healthy: "near 0.", Sick: "forward to one peer from all nodes: the way to it. reverse: the way from it. Both: a queue that both pass, or a clock that drifts if they mirror each other.",
			Alerts:  []string{"PodNetOneWayDelay"},
			Unit:    "s",
			Queries: []Query{{Expr: orNone(most(10, `max by (node, peer_node, direction) (podnet_peer_excess_delay_seconds{`+byPair+`})`), "node"), Legend: "{{node}} → {{peer_node}} {{direction}}"}},
		},
		{
			Title: "Packets that were overtaken", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Packets of one flow that a later one overtook, by the peer that was probed and the direction.",
			Healthy: "none, at 0.", Sick: "a steady rate: a bond or router spreads packets instead of flows, and TCP is slow by it. forward is towards the peer.",
			Alerts:  []string{"PodNetPacketReordering"},
			Unit:    "pps",
			Queries: []Query{{Expr: orNone(sumRate("peer_node, direction", "podnet_probe_reordered_total", byPair), "peer_node"), Legend: "{{peer_node}} {{direction}}"}},
		},
		{
			Title: "Where lasting loss begins", Kind: Table, Width: 24, Height: 8,
			Shows:   "The hop from which on packets are lost up to the end of the path, as the chosen nodes measure it, and the share that is lost at the end. Loss of a hop in the middle alone is that hop's own limit, and is not shown.",
			Healthy: "no row.", Sick: "one hop in the rows of several nodes: the link into it. Rows of one node only: that node's uplink.",
			Alerts: []string{"PodNetUnderlayLoss"}, NoValue: "no lasting loss", Unit: "percentunit",
			Queries: []Query{{OnlyDuringFault: true, Expr: `sort_desc(max by (node, vantage, peer_node, family, ttl, address, name) (podnet_path_loss_begins_hop{` + byPair + `}))`}},
			Columns: []Column{
				{Field: "name", Name: "hop"}, {Field: "address", Name: "address"}, {Field: "ttl", Name: "hop number"}, {Field: "node", Name: "from"},
				{Field: "vantage", Name: "vantage"}, {Field: "peer_node", Name: "to"}, {Field: "family", Name: "family"}, {Field: "Value", Name: "lost at the end"},
			},
		},
	}
}
