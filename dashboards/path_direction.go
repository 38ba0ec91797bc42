package main

// directionPanels answer in which direction packets are late, lost, doubled or
// out of order, and whether a queue of either end holds them.
func directionPanels() []Panel {
	const way, wayLegend = "node, peer_node, direction", "{{node}} → {{peer_node}} {{direction}}"
	const queue, queueLegend = "node, device, namespace, pod, kind", "{{node}} {{device}} {{namespace}}/{{pod}} {{kind}}"
	return []Panel{
		{
			Title: "One-way delay above the best", Kind: Lines, Width: 12, Height: 8,
			Shows:   "How much longer UDP packets take between the hosts, to the peer (forward) and back (reverse), than at best in the last minutes, by the clocks of both ends, the ten latest. The vantage does not matter here.",
			Healthy: "near 0; steps of some milliseconds are scheduling.", Sick: "forward only: the way to the peer, from all sources the link in front of it. reverse only: the way back. Both: a queue that both pass.",
			Alerts:  []string{"PodNetOneWayDelay", "PodNetQueueingDelay"},
			Unit:    "s",
			Queries: []Query{{Expr: orNone(most(10, `max by (`+way+`) (podnet_peer_excess_delay_seconds{`+byPair+`})`), "node"), Legend: wayLegend}},
		},
		{
			Title: "UDP loss by direction", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Lost UDP probes by the direction in which the packet was lost, told by the responder's own count: forward is towards the peer, unknown is one or the other. A first loss after a quiet time may be missing: its series begins with it.",
			Healthy: "none, at 0.", Sick: "forward to one peer from all sources: the way to it. reverse: the way from it. Forward and reverse alike: a link that both pass, or the peer's host.",
			Alerts:  []string{"PodNetUnderlayLoss", "PodNetZonesPartitioned"},
			Unit:    "pps",
			Queries: []Query{{Expr: orNone(most(15, sumRate(way, "podnet_probe_lost_direction_total", byPath)), "peer_node"), Legend: wayLegend}},
		},
		{
			Title: "Overtaken by direction", Kind: Lines, Width: 12, Height: 8,
			Shows:   "UDP packets that a later packet of the same flow overtook, the fifteen worst.",
			Healthy: "none, at 0.", Sick: "a steady rate: a bond or router spreads packets instead of flows. forward to one peer from all sources: in front of it.",
			Alerts:  []string{"PodNetPacketReordering"},
			Unit:    "pps",
			Queries: []Query{{Expr: orNone(most(15, sumRate(way, "podnet_probe_reordered_total", byPath)), "peer_node"), Legend: wayLegend}},
		},
		{
			Title: "Second replies, and late ones", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Replies to a probe that was answered already (duplicate), and replies after the time-out (late), the ten worst pairs of each.",
			Healthy: "none, at 0.", Sick: "duplicate: a loop or a mirrored port in front of the peer that most lines have in common. late: what counts as loss is delay.",
			Alerts: []string{"PodNetPacketDuplication"},
			Unit:   "pps",
			Queries: []Query{
				{Expr: orNone(most(10, sumRate("node, peer_node", "podnet_probe_duplicates_total", byPath)), "peer_node"), Legend: "{{node}} → {{peer_node}} duplicate"},
				{Expr: orNone(most(10, sumRate("node, peer_node", "podnet_probe_late_total", byPath)), "peer_node"), Legend: "{{node}} → {{peer_node}} late"},
			},
		},
		{
			Title: "Queues of both ends, packets that wait", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Packets that wait in the queues of the interfaces of the chosen sources and peers, and of their pods, the ten longest.",
			Healthy: "0, with short spikes; none where no interface has a queue.", Sick: "a queue that stays: more is sent by that interface than it, or a limit on it, lets out.",
			Alerts:  []string{"PodNetQueueingDelay"},
			Unit:    "short",
			Queries: []Query{{Expr: orNone(most(10, `max by (`+queue+`) (podnet_qdisc_backlog_packets{`+byPathEnds+`})`), "node"), Legend: queueLegend}},
		},
		{
			Title: "Queues of both ends, packets dropped and held back", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Packets that these queues dropped, and how often they held one back because a rate or limit was reached, the ten worst of each.",
			Healthy: "0; none where no interface has a queue.", Sick: "drops: the queue is full, and that is loss. held back alone: a rate limit is at work, and that is delay.",
			Alerts: []string{"PodNetQueueingDelay"},
			Unit:   "pps",
			Queries: []Query{
				{Expr: orNone(most(10, sumRate(queue, "podnet_qdisc_drops_total", byPathEnds)), "node"), Legend: queueLegend + " dropped"},
				{Expr: orNone(most(10, sumRate(queue, "podnet_qdisc_overlimits_total", byPathEnds)), "node"), Legend: queueLegend + " held back"},
			},
		},
	}
}
