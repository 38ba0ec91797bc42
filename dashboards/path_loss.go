package main

// lossBeginsPanels answer at which hop packets begin to be lost for good.
func lossBeginsPanels() []Panel {
	return []Panel{
		{
			Title: "Where lasting loss begins, now", Kind: Table, Width: 24, Height: 7,
			Shows:   "The hop from which on packets are lost up to the end of the path, and the share that is lost at the end. Loss that a hop in the middle shows alone is its own limit of ICMP errors, and is not listed.",
			Healthy: "no row.", Sick: "one hop in the rows of several sources: the link into it, or the hop itself. Several hops of the same number: what is before them. An empty hop: the hop did not answer, so it has no name. Rows of vantage pod echo those of vantage node, on whose packets they travel; without such rows it is the overlay.",
			Alerts: []string{"PodNetUnderlayLoss"}, NoValue: "no lasting loss", Unit: "percentunit",
			Steps:   []Step{{0, yellow}, {0.02, orange}, {0.1, red}},
			Queries: []Query{{OnlyDuringFault: true, Expr: `sort_desc(max by (` + hopLabels + `, address, name) (podnet_path_loss_begins_hop{` + byPath + `}))`}},
			Columns: []Column{
				{Field: "name", Name: "hop"}, {Field: "address", Name: "address"}, {Field: "ttl", Name: "hop number"}, {Field: "node", Name: "from"},
				{Field: "vantage", Name: "vantage"}, {Field: "peer_node", Name: "to"}, {Field: "family", Name: "family"}, {Field: "Value", Name: "lost at the end"},
			},
		},
		{
			Title: "Loss at the end, by the hop where it begins", Kind: Lines, Width: 12, Height: 8,
			Shows:   "The largest share that any of the chosen paths loses at its end, by the hop from which on it loses, the ten worst.",
			Healthy: "none, at 0.", Sick: "one line that begins with the page: that hop. Many short lines: too few packets to tell; look at the panel to the right.",
			Alerts: []string{"PodNetUnderlayLoss"},
			Unit:   "percentunit", Max: 1,
			Queries: []Query{{Expr: orNone(most(10, `max by (name, address, vantage) (podnet_path_loss_begins_hop{`+byPath+`})`), "name"), Legend: "{{name}} {{address}} {{vantage}}"}},
		},
		{
			Title: "Nodes that agree on the hop", Kind: Lines, Width: 12, Height: 8,
			Shows:   "How many nodes find that lasting loss of their own paths to other nodes begins at this hop: of the whole cluster, whatever is chosen above. Pairs that are cut are not counted, they are another fault.",
			Healthy: "none, at 0.", Sick: "two or more: the page names this hop. One: a link that only this node's paths use.",
			Alerts:  []string{"PodNetUnderlayLoss"},
			Unit:    "none",
			Steps:   []Step{{0, green}, {2, red}},
			Queries: []Query{{Expr: orNone(`max by (name) (podnet:loss_begins:nodes)`, "name"), Legend: "{{name}}"}},
		},
	}
}
