package main

// sizePanels answer whether large packets fit everywhere.
func sizePanels() []Panel {
	return []Panel{
		{
			Title: "MTU of tunnels and endpoint pods", Kind: Table, Width: 12, Height: 8,
			Shows:   "The largest packet that the tunnels of the chosen nodes and their endpoint pods send, the smallest first, and which of them are unlike the others.",
			Healthy: "one number per interface name, on all nodes.", Sick: "a row that differs from the rows of the same interface on the other nodes: large packets are lost or cut in pieces where the sizes meet.",
			Alerts: []string{"PodNetMTUMismatch"}, NoValue: "no tunnel and no endpoint pod", Unit: "bytes",
			Queries: []Query{{Expr: `sort(max by (node, device, namespace, pod) (podnet:interface_mtu:bytes{` + byNode + `}))`}},
			Columns: []Column{
				{Field: "node", Name: "node"}, {Field: "device", Name: "interface"}, {Field: "namespace", Name: "namespace"},
				{Field: "pod", Name: "pod"}, {Field: "Value", Name: "MTU"},
			},
		},
		{
			Title: "Peers that lose large packets", Kind: Lines, Width: 12, Height: 8,
			Shows:   "The share of those that search the path MTU to a node that reach it with small packets and lose the large ones.",
			Healthy: "none, at 0.", Sick: "above 50 % for one node: a link in front of it carries less than the overlay was made for, and nobody says so. All nodes: the fabric.",
			Alerts: []string{"PodNetMTUBlackHole"},
			Unit:   "percentunit", Max: 1, Steps: []Step{{0, green}, {0.5, red}},
			Queries: []Query{{Expr: orNone(`max by (node) (podnet:black_hole:share or on (node) podnet:votes:share{verdict="large_lost"})`, "node"), Legend: "{{node}}"}},
		},
		{
			Title: "Path MTU", Kind: Lines, Width: 12, Height: 8,
			Shows:   "The largest packet that gets through from the chosen nodes to the chosen peers, the ten smallest.",
			Healthy: "the MTU of the uplink from vantage node, that of the tunnel from vantage pod.", Sick: "a line that drops: a link of that path has become smaller. It is a fault only if the senders do not hear of it.",
			Alerts:  []string{"PodNetMTUBlackHole"},
			Unit:    "bytes",
			Queries: []Query{{Expr: `bottomk(10, min by (node, vantage, peer_node) (podnet_path_mtu_bytes{` + byPair + `}))`, Legend: "{{node}} {{vantage}} → {{peer_node}}"}},
		},
		{
			Title: "Zones that are cut off", Kind: Lines, Width: 12, Height: 8,
			Shows:   "For each pair of zones, the share of the pairs of nodes across it that hear nothing of each other.",
			Healthy: "none, at 0.", Sick: "near 100 %: the zones cannot reach each other, and no node is to blame. Less: single nodes of these zones.",
			Alerts: []string{"PodNetZonesPartitioned"},
			Unit:   "percentunit", Max: 1, Steps: []Step{{0, green}, {0.9, red}},
			Queries: []Query{{Expr: orNone(`count by (zones) (podnet:zones_pair_cut) / count by (zones) (podnet_peer_info{zones!=""})`, "zones"), Legend: "{{zones}}"}},
		},
	}
}
