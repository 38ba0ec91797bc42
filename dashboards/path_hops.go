package main

// inOrder writes a hop's number with two digits, for a text column to be sorted
// by it.
func inOrder(expr string) string {
	return `label_replace(` + expr + `, "ttl", "0$1", "ttl", "(.)")`
}

// hopLoss is the share of the probes to each hop of each path that had no
// answer.
func hopLoss() string {
	return ratio(hopLabels, "podnet_path_hop_lost_total", "podnet_path_hop_sent_total", byPath)
}

// hopPanels answer who the hops of the paths are, now and over time.
func hopPanels() []Panel {
	const who = `max by (` + hopLabels + `, address, name) (podnet_path_hop_info{` + byPath + `})`
	return []Panel{
		{
			Title: "Hops, now", Kind: Table, Width: 12, Height: 12,
			Shows:   "Every address that answers at a hop of the chosen paths, and the share of the probes to that hop without an answer. Hops with several rows are equal-cost ways; the share is that of all of them.",
			Healthy: "the same routers as always, and the last hop of each path at 0 %. Hops before it may lose anything: routers limit their ICMP errors.",
			Sick:    "loss at a hop and at all that follow, up to the last. A hop that is missing answers nothing: it is silent, which is no fault. An unknown router: the path has moved.",
			Alerts:  []string{"PodNetUnderlayLoss", "PodNetZonesPartitioned"}, NoValue: "no hop of these paths answers",
			Unit: "percentunit", Sort: "from, vantage, to, family, hop",
			Queries: []Query{{Expr: `max by (path, name, address) (label_join(` + inOrder(`(`+who+` * on (`+hopLabels+`) group_left () (`+hopLoss()+`))`) +
				`, "path", " ", "node", "vantage", "peer_node", "family", "ttl"))`}},
			Columns: []Column{
				{Field: "path", Name: "from, vantage, to, family, hop"}, {Field: "name", Name: "name"},
				{Field: "address", Name: "address"}, {Field: "Value", Name: "lost"},
			},
		},
		{
			Title: "Who is at which hop, over time", Kind: Timeline, Width: 12, Height: 12,
			Shows:   "A bar for as long as a name answers at a hop, by the hop's number; the tooltip counts on how many of the chosen paths, and with how many addresses. silent: paths on which that hop does not answer.",
			Healthy: "unbroken bars. Two names at one hop: equal-cost ways.", Sick: "a bar ends where another begins: the path has moved then. A bar ends and silent begins: that hop is gone, or was told not to answer.",
			Alerts: []string{"PodNetZonesPartitioned"},
			Unit:   "none", Steps: []Step{{0, blue}},
			Queries: []Query{
				{Expr: `count by (vantage, ttl, name) (podnet_path_hop_info{` + byPath + `})`, Legend: "{{vantage}} hop {{ttl}} {{name}}"},
				{OnlyDuringFault: true, Legend: "{{vantage}} hop {{ttl}} silent", Expr: `count by (vantage, ttl) (podnet_path_hop_sent_total{` + byPath + `} unless on (` + hopLabels + `) podnet_path_hop_info)`},
			},
		},
	}
}
