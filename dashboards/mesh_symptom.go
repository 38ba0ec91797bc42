package main

// symptomPanels answer whether it is the network, or only what measures it.
// They show the whole cluster, whatever is chosen at the top.
func symptomPanels() []Panel {
	return append(symptomNumbers(),
		Panel{
			Title: "Firing alerts", Kind: Table, Width: 16, Height: 8,
			Shows:   "Every PodNet alert that fires, before Alertmanager groups and silences. Cause unknown next to a known cause on the same node is held back by Alertmanager. Click an alert for its runbook.",
			Healthy: "no row.", Sick: "the row with severity page and a known cause names the node to log in to; tickets of symptom prober mean that the measuring, not the network, is in trouble.",
			NoValue: "no alert fires",
			Unit:    "s", Sort: "severity",
			Queries: []Query{{OnlyDuringFault: true, Expr: `sort(max by (severity, alertname, symptom, cause, node) (time() - ALERTS_FOR_STATE{alertname=~"PodNet.+"} and ignoring (alertstate) ALERTS{alertname=~"PodNet.+", alertstate="firing"}))`}},
			Columns: []Column{
				{Field: "severity", Name: "severity"}, {Field: "alertname", Name: "alert", Link: runbook}, {Field: "symptom", Name: "symptom"},
				{Field: "cause", Name: "cause"}, {Field: "node", Name: "node"}, {Field: "Value", Name: "since"},
			},
		},
		Panel{
			Title: "Agents that Prometheus scrapes", Kind: Timeline, Width: 8, Height: 8,
			Shows:   "Whether Prometheus can scrape the agent of each node.",
			Healthy: "one unbroken green bar per node.", Sick: "a red bar: that node is not measured from the inside. Look whether its peers call it node_unreachable below; if they do not, only the agent is down.",
			Alerts:  []string{"PodNetAgentDown"},
			Queries: []Query{{Expr: `min by (node, instance) (up{job=~".*podnet.*"})`, Legend: "{{node}} {{instance}}"}},
			Steps:   []Step{{0, red}, {1, green}}, Texts: upOrDown("up", "down"), Max: 1,
		},
		Panel{
			Title: "Probers that are their own problem", Kind: Timeline, Width: 12, Height: 7,
			Shows:   "Nodes whose agent was late, stopped or starved within the last 30 seconds. What they fail to measure is counted as impaired, never as loss.",
			Healthy: "green throughout.", Sick: "yellow on a node: do not believe that node's failures, give its agent CPU. Yellow everywhere at once: the nodes are overloaded, and it is not the network.",
			Alerts:  []string{"PodNetProberImpaired"},
			Queries: []Query{{Expr: `max by (node) (podnet_prober_impaired)`, Legend: "{{node}}"}},
			Steps:   []Step{{0, green}, {1, yellow}}, Texts: []Text{{"0", "fine", green}, {"1", "impaired", yellow}}, Max: 1,
		},
		Panel{
			Title: "Collectors that fail", Kind: Lines, Width: 12, Height: 7,
			Shows:   "The twenty collectors with the worst success, 1 for one that fails. Their evidence is missing from the alerts.",
			Healthy: "all lines at 0.", Sick: "a line at 1: pages about that node may say cause unknown. The agent's log says once what is missing.",
			Alerts:  []string{"PodNetCollectorFailed"},
			Queries: []Query{{Expr: most(20, `max by (node, collector) (1 - podnet_collector_success)`), Legend: "{{node}} {{collector}}"}},
			Max:     1,
		},
	)
}

// Pages of a known and of an unknown cause. Alertmanager holds the second back
// on a node that has the first.
const (
	known   = `ALERTS{alertname=~"PodNet.+", alertstate="firing", severity="page", cause!="unknown"}`
	unknown = `ALERTS{alertname=~"PodNet.+", alertstate="firing", severity="page", cause="unknown"}`
)

// symptomNumbers are the line of numbers at the top.
func symptomNumbers() []Panel {
	number := func(p Panel) Panel {
		p.Kind, p.Width, p.Height = Stat, 4, 4
		return p
	}
	return []Panel{
		number(Panel{
			Title: "Pages firing", Steps: zeroIsGood(red),
			Shows: "Causes and nodes that page now. An unknown cause on a node with a known one is not counted.", Healthy: "0.", Sick: "more: read the table below. A broken node makes one, not one per peer.",
			Queries: []Query{{Expr: "count(count by (cause, node) (" + known + " or (" + unknown + " unless on (node) " + known + "))) or vector(0)"}},
		}),
		number(Panel{
			Title: "Pairs broken", Steps: zeroIsGood(red),
			Shows: "Pairs of nodes that in the last minute did not work in more than 40 % of the cycles.", Healthy: "0.",
			Sick:    "about as many as the node has peers: one node is broken. Very many: the fabric, or a zone. One or two: something between just these nodes.",
			Queries: []Query{{Expr: "count(podnet:pair_broken:ratio1m) or vector(0)"}},
		}),
		number(Panel{
			Title: "Cycles that worked", Unit: "percentunit", Max: 1, Steps: []Step{{0, red}, {0.99, yellow}, {0.999, green}},
			Shows: "The share of all cycles to all peers in which everything answered. Cycles of impaired probers and of peers that are known to be down do not count.", Healthy: "100 %, or nearly: single lost packets count as working.",
			Sick:    "with n nodes, one that cannot be reached costs about 1/n of it twice: once as source and once as peer.",
			Queries: []Query{{Expr: `sum(rate(podnet_peer_verdicts_total{verdict=~"ok|lossy"}[$__rate_interval])) / sum(rate(podnet_peer_verdicts_total{verdict!~"impaired|expected_down"}[$__rate_interval]))`}},
		}),
		number(Panel{
			Title: "Agents up", Unit: "percentunit", Max: 1, Steps: []Step{{0, red}, {0.9, yellow}, {1, green}},
			Shows: "The share of agents that Prometheus can scrape.", Healthy: "100 %.", Sick: "less: see who is missing in the bars below.",
			Queries: []Query{{Expr: `avg(up{job=~".*podnet.*"})`}},
		}),
		number(Panel{
			Title: "Probers impaired", Steps: zeroIsGood(yellow),
			Shows: "Nodes whose prober is starved or was stopped.", Healthy: "0.", Sick: "more: the failures of these nodes say nothing about the network.",
			Queries: []Query{{Expr: `sum(max by (node) (podnet_prober_impaired))`}},
		}),
		number(Panel{
			Title: "Collectors failing", Steps: zeroIsGood(yellow),
			Shows: "Collectors that cannot read what they should, over all nodes.", Healthy: "0.", Sick: "more: causes may be missing from pages.",
			Queries: []Query{{Expr: `sum(1 - podnet_collector_success)`}},
		}),
	}
}
