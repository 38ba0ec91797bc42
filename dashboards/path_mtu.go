package main

// pathMTUPanels answer how large a packet fits through each path. Sizes have no
// unit: people know an MTU as 1500, not as 1.46 KiB.
func pathMTUPanels() []Panel {
	return []Panel{
		{
			Title: "Path MTU, source by peer", Kind: Matrix, Width: 12, Height: 9,
			Shows:   "The largest IP packet in bytes that reaches the node of the column from the node of the row unfragmented, the smallest of the chosen vantages and families. From vantage node it is the fabric's, from vantage pod the overlay's.",
			Healthy: "one number in all cells.", Sick: "a row or column with less: the uplink of that node, or a tunnel that was made smaller. A block: a link between two zones. Less is a fault only where the senders do not hear of it: see the matrix to the right. An empty cell: not even small packets pass.",
			Alerts: []string{"PodNetMTUBlackHole", "PodNetMTUMismatch"},
			Unit:   "none", Steps: []Step{{0, red}, {1280, orange}, {1400, green}}, NoValue: "no path MTU is known",
			Queries: []Query{{Expr: `min by (node, peer_node) (podnet_path_mtu_bytes{` + byPath + `})`}},
		},
		{
			Title: "Large packets that vanish, source by peer", Kind: Matrix, Width: 12, Height: 9,
			Shows:   "Whether packets larger than the path MTU, up to the MTU of the sender's interface, vanish without an ICMP error that says so, on any of the chosen vantages and families.",
			Healthy: "passes everywhere: all sizes pass, or the sender hears which do.", Sick: "black hole: ping and connecting work, and transfers hang. A column: in front of that node. All cells: the fabric, or the overlay's MTU is too large for it.",
			Alerts: []string{"PodNetMTUBlackHole"},
			Unit:   "none", Max: 1, Steps: zeroIsGood(red), Texts: []Text{{"0", "passes", green}, {"1", "black hole", red}}, NoValue: "no path MTU is known",
			Queries: []Query{{Expr: `max by (node, peer_node) (podnet_path_mtu_black_hole{` + byPath + `})`}},
		},
		{
			Title: "TCP transfers, source by peer", Kind: Matrix, Width: 12, Height: 7,
			Shows:   "Whether several segments to the peer's responder and back arrive over TCP, after it was connected, on all of the chosen vantages and families.",
			Healthy: "passes everywhere.", Sick: "stalls where the matrix above says black hole: the same, as users feel it. Stalls where it says passes: only TCP is hit, by a rule, a firewall that loses track, or offloads. An empty cell: TCP does not even connect.",
			Alerts: []string{"PodNetMTUBlackHole"},
			Unit:   "none", Max: 1, Steps: []Step{{0, red}, {1, green}}, Texts: []Text{{"0", "stalls", red}, {"1", "passes", green}}, NoValue: "no transfer was tried",
			Queries: []Query{{Expr: `min by (node, peer_node) (podnet_path_transfer_ok{` + byPath + `})`}},
		},
		{
			Title: "Path MTU over time", Kind: Lines, Width: 12, Height: 7,
			Shows:   "The largest IP packet in bytes that gets through, the fifteen smallest of the chosen paths.",
			Healthy: "flat lines.", Sick: "a line that drops: a link of that path has become smaller, or the path has moved to one that is.",
			Alerts:  []string{"PodNetMTUBlackHole"},
			Unit:    "none",
			Queries: []Query{{Expr: `bottomk(15, min by (node, vantage, peer_node, family) (podnet_path_mtu_bytes{` + byPath + `}))`, Legend: "{{node}} {{vantage}} → {{peer_node}} {{family}}"}},
		},
	}
}
