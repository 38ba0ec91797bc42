package main

// slowPanels answer how long the way takes, and how much is lost on it.
func slowPanels() []Panel {
	const mesh, target = "podnet_mesh_rtt_seconds", "podnet_probe_rtt_seconds"
	all := byNode + `, family=~"$family"`
	return []Panel{
		{
			Title: "RTT by zone and vantage", Kind: Lines, Width: 12, Height: 9,
			Shows:   "Median and 99th percentile of the round trips of ICMP to pods and hosts, by the zone of the peer and by where the probe was sent from (node or pod). Failures are not in it: a lost packet has no RTT.",
			Healthy: "flat; other zones slower than the own by a steady amount; pod slower than node by some 10 µs.", Sick: "p99 alone rises: a queue, on some paths. Median too: everything to that zone is slow. vantage pod only: the overlay or the CPUs of the node.",
			Unit: "s",
			Queries: []Query{
				{Expr: quantileOf("0.5", "peer_zone, vantage", mesh, all+`, probe="icmp"`), Legend: "p50 zone {{peer_zone}} from {{vantage}}"},
				{Expr: quantileOf("0.99", "peer_zone, vantage", mesh, all+`, probe="icmp"`), Legend: "p99 zone {{peer_zone}} from {{vantage}}"},
			},
		},
		{
			Title: "RTT, all of them", Kind: Heatmap, Width: 12, Height: 9,
			Shows:   "How many probes had which round trip, over all chosen nodes.",
			Healthy: "a few narrow bands: same node, same zone, other zone.", Sick: "a band that splits, widens or moves up; a second band far above: queueing on some paths.",
			Unit: "s", Queries: []Query{{Expr: "sum(" + rate(mesh, all) + ")"}},
		},
		{
			Title: "Probes slower than", Kind: Lines, Width: 12, Height: 8,
			Shows:   "The share of answered probes whose round trip took longer than 1, 10 and 100 ms, from the classic buckets.",
			Healthy: "at or near 0 inside a region.", Sick: "10 ms above 1 %: applications feel it.",
			Unit: "percentunit",
			Queries: []Query{
				{Expr: slowerThan("0.001", mesh, all), Legend: "1 ms"},
				{Expr: slowerThan("0.01", mesh, all), Legend: "10 ms"},
				{Expr: slowerThan("0.1", mesh, all), Legend: "100 ms"},
			},
		},
		{
			Title: "Slowest targets", Kind: Lines, Width: 12, Height: 8,
			Shows:   "99th percentile of the round trips of single targets, the fifteen slowest pairs of node and target.",
			Healthy: "the targets in other zones, close together.", Sick: "the same peer_node in most lines: that node, or its uplink. The same node: its own queue. One line: one path.",
			Unit:    "s",
			Queries: []Query{{Expr: most(15, quantile("0.99", "node, peer_node, probe, vantage, target_kind, target", target, byPair)), Legend: "{{node}} {{vantage}} → {{peer_node}} {{target_kind}} {{target}} {{probe}}"}},
		},
		{
			Title: "Loss by probe, vantage and target", Kind: Lines, Width: 12, Height: 8,
			Shows:   "The share of probes that failed, by kind of probe, where it was sent from, and what it was sent to. The differences name the layer.",
			Healthy: "all at 0.", Sick: "to pods only: the overlay or forwarding. From pods only: their own way out. tcp only: a port or a firewall. icmp only: somebody ignores ping. All alike: the fabric, or the host.",
			Unit: "percentunit", Max: 1,
			Queries: []Query{{Expr: ratio("probe, vantage, target_kind", "podnet_probe_failures_total", "podnet_probe_sent_total", byPair), Legend: "{{probe}} {{vantage}} → {{target_kind}}"}},
		},
		{
			Title: "Late, duplicate and impaired", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Replies after the time-out, further replies, and probes without a result because the prober was starved.",
			Healthy: "none, at 0.", Sick: "late: there is no loss but a delay of more than the time-out. duplicates: a loop, or two that answer for one address. impaired: look at row 1.",
			Alerts: []string{"PodNetPacketDuplication"},
			Unit:   "pps",
			Queries: []Query{
				{Expr: orNone(sumRate("peer_node", "podnet_probe_late_total", byPair), "peer_node"), Legend: "late {{peer_node}}"},
				{Expr: orNone(sumRate("peer_node", "podnet_probe_duplicates_total", byPair), "peer_node"), Legend: "duplicate {{peer_node}}"},
				{Expr: orNone(sumRate("node", "podnet_probe_impaired_total", byPair), "node"), Legend: "impaired {{node}}"},
			},
		},
	}
}

// slowerThan returns the share of a classic histogram's observations above a
// bucket's bound in seconds.
func slowerThan(bound, metric, matchers string) string {
	return "1 - sum(" + rate(metric+"_bucket", matchers+`, le="`+bound+`"`) + ") / sum(" + rate(metric+"_bucket", matchers+`, le="+Inf"`) + ")"
}
