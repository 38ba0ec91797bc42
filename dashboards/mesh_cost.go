package main

// ofAgents keeps what agents say of their process, and drops the series of the
// same names that other programs have.
const ofAgents = ` and on (node, instance) podnet_build_info{` + byNode + `}`

// costPanels answer what the measuring costs, and whether it keeps up.
func costPanels() []Panel {
	return []Panel{
		{
			Title: "CPU of the agents", Kind: Lines, Width: 8, Height: 8,
			Shows:   "CPU time that the agents of the chosen nodes use, in cores, the fifteen busiest.",
			Healthy: "about 0.01, alike on all nodes.", Sick: "one node apart from the others: many pods, or a scraper that asks too often.",
			Queries: []Query{{Expr: most(15, rate("process_cpu_seconds_total", byNode)+ofAgents), Legend: "{{node}}"}},
		},
		{
			Title: "Memory of the agents", Kind: Lines, Width: 8, Height: 8,
			Shows:   "Resident memory, the fifteen largest.",
			Healthy: "flat, below 50 MB or somewhat above.", Sick: "a line that only grows.",
			Unit:    "bytes",
			Queries: []Query{{Expr: most(15, "process_resident_memory_bytes{"+byNode+"}"+ofAgents), Legend: "{{node}}"}},
		},
		{
			Title: "Series per agent", Kind: Lines, Width: 8, Height: 8,
			Shows:   "Series that a scrape of an agent makes, the fifteen largest.",
			Healthy: "below 2,000, or 3,000 with two address families, at any size of the cluster.", Sick: "above, or growing: many pods on the node, or many reasons of drops.",
			Steps:   []Step{{0, green}, {3000, yellow}},
			Queries: []Query{{Expr: most(15, "podnet_series{"+byNode+"}"), Legend: "{{node}}"}},
		},
		{
			Title: "Delay of the probers", Kind: Lines, Width: 8, Height: 8,
			Shows:   "99th percentile of how much later than planned probes were sent, by vantage. It is in no RTT.",
			Healthy: "below 20 ms.", Sick: "above 100 ms: the agents are starved. The alert follows once it lasts.",
			Alerts:  []string{"PodNetProberImpaired"},
			Unit:    "s",
			Queries: []Query{{Expr: most(15, quantileOf("0.99", "node, vantage", "podnet_prober_delay_seconds", byNode)), Legend: "{{node}} {{vantage}}"}},
		},
		{
			Title: "Probes sent, skipped, dropped", Kind: Lines, Width: 8, Height: 8,
			Shows:   "Probes that all chosen agents send, those they skipped because they were starved, and replies that did not fit into their sockets.",
			Healthy: "sent is flat, the others at 0.", Sick: "skipped above 0: starved. dropped above 0: replies are lost inside the agent's node.",
			Alerts: []string{"PodNetProberImpaired"},
			Unit:   "pps",
			Queries: []Query{
				{Expr: "sum(" + rate("podnet_probe_sent_total", byNode) + ")", Legend: "sent"},
				{Expr: "sum(" + rate("podnet_prober_skipped_total", byNode) + ")", Legend: "skipped"},
				{Expr: "sum(" + rate("podnet_prober_socket_drops_total", byNode) + ")", Legend: "dropped"},
			},
		},
		{
			Title: "Slowest collectors", Kind: Lines, Width: 8, Height: 8,
			Shows:   "Time that collectors take in a scrape, the ten slowest.",
			Healthy: "a few milliseconds.", Sick: "near the scrape's time-out: Prometheus will lose the agent.",
			Unit:    "s",
			Queries: []Query{{Expr: most(10, "max by (node, collector) (podnet_collector_duration_seconds{"+byNode+"})"), Legend: "{{node}} {{collector}}"}},
		},
		{
			Title: "Peers that are probed", Kind: Lines, Width: 8, Height: 8, Stacked: true,
			Shows:   "How many peers the chosen agents have, by what discovery knows of them; unprobed are those that others probe.",
			Healthy: "steady, ready for the most part.", Sick: "a fall: discovery lost nodes. not_ready, cordoned and draining are known to be down and page nobody.",
			Queries: []Query{{Expr: "sum by (state) (podnet_peers{" + byNode + "})", Legend: "{{state}}"}},
		},
		{
			Title: "Vantages", Kind: Timeline, Width: 8, Height: 8,
			Shows:   "Whether probes can be sent from the node and from its endpoint pod.",
			Healthy: "green.", Sick: "pod is red: the endpoint of that node is gone or its namespace cannot be entered, and that node measures nothing from inside of a pod.",
			Steps: []Step{{0, red}, {1, green}}, Texts: upOrDown("up", "gone"), Max: 1,
			Queries: []Query{{Expr: "min by (node, vantage) (podnet_prober_vantage_up{" + byNode + "})", Legend: "{{node}} {{vantage}}"}},
		},
		{
			Title: "Configuration and lost counts", Kind: Lines, Width: 8, Height: 8,
			Shows:   "Agents that run an older configuration because the new one was refused, and drops that the kernel program could not count.",
			Healthy: "both at 0.", Sick: "refused: see the agent's log. lost counts: the drop panels show less than happened.",
			Queries: []Query{
				{Expr: "sum(1 - podnet_config_last_reload_successful{" + byNode + "})", Legend: "configurations refused"},
				{Expr: "sum(" + rate("podnet_drops_overflow_total", byNode) + ")", Legend: "drops not counted, per second"},
			},
		},
	}
}
