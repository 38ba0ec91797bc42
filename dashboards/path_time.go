package main

// hopMean is the mean round-trip time of a window: each sample is that of a
// cycle, and cycles of a path have equally many probes.
func hopMean(by string) string {
	return `avg by (` + by + `) (avg_over_time(podnet_path_hop_rtt_seconds{` + byPath + `}[$__rate_interval]))`
}

// hopTimePanels answer what single hops lose and how late they answer.
func hopTimePanels() []Panel {
	const by, legend = "vantage, family, ttl", "{{vantage}} {{family}} hop {{ttl}}"
	return []Panel{
		{
			Title: "Loss per hop", Kind: Lines, Width: 12, Height: 9,
			Shows:   "The share of the probes to each hop that had no answer, over the chosen paths. Paths of different lengths are added up by hop number: choose one source and one peer to read it.",
			Healthy: "the last hop at 0. Hops before it may lose anything, even all: they limit their ICMP errors, or send none.", Sick: "a hop and all hops after it lose the same share: loss begins there. A hop loses more than those after it: that is the hop's own limit, and no loss.",
			Alerts: []string{"PodNetUnderlayLoss", "PodNetZonesPartitioned"},
			Unit:   "percentunit", Max: 1,
			Queries: []Query{{Expr: ratio(by, "podnet_path_hop_lost_total", "podnet_path_hop_sent_total", byPath), Legend: legend}},
		},
		{
			Title: "Latency per hop", Kind: Lines, Width: 12, Height: 9,
			Shows:   "The mean round-trip time to each hop in the window, over the chosen paths and the answers only.",
			Healthy: "flat.", Sick: "a hop and all after it rise together: the queue is before that hop. A hop alone rises: its own processor answers late, and traffic through it does not suffer.",
			Alerts:  []string{"PodNetSlow", "PodNetQueueingDelay", "PodNetOneWayDelay"},
			Unit:    "s",
			Queries: []Query{{Expr: hopMean(by), Legend: legend}},
		},
		{
			Title: "Slowest hops", Kind: Lines, Width: 12, Height: 8,
			Shows:   "The mean round-trip time to a hop of one path in the window, the fifteen slowest.",
			Healthy: "flat; the hops of the longest paths.", Sick: "a line that climbs: that hop has become slower. The same peer in most lines: all paths to it are slow.",
			Alerts:  []string{"PodNetSlow"},
			Unit:    "s",
			Queries: []Query{{Expr: most(15, hopMean(hopLabels)), Legend: "{{node}} {{vantage}} → {{peer_node}} {{family}} hop {{ttl}}"}},
		},
		{
			Title: "Path changes", Kind: Lines, Width: 12, Height: 8,
			Shows:   "How often per minute a hop of the path became another one, the fifteen most restless paths. Packets that take turns between equal-cost ways are no change.",
			Healthy: "0, but for a step when the fabric is worked on.", Sick: "all paths at one moment: a router or link went away, and the rest took over. One path again and again: a route that flaps.",
			Alerts:  []string{"PodNetUnderlayLoss", "PodNetZonesPartitioned"},
			Unit:    "cpm",
			Queries: []Query{{Expr: most(15, sumRate("node, vantage, peer_node, family", "podnet_path_changes_total", byPath)) + " * 60", Legend: "{{node}} {{vantage}} → {{peer_node}} {{family}}"}},
		},
	}
}
