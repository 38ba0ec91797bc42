package main

import "slices"

// evidencePanels answer what the nodes' tables, interfaces and sockets are
// like, a panel per cause.
func evidencePanels() []Panel {
	return slices.Concat(conntrackPanels(), tablePanels(), interfacePanels(), sizePanels())
}

func conntrackPanels() []Panel {
	return []Panel{
		{
			Title: "Conntrack tables, filled", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Entries in the connection tracking table against its limit, the fifteen fullest.",
			Healthy: "well below 80 %.", Sick: "a line at 100 %, together with drops on the right: new connections fail on that node, in that namespace, and old ones go on.",
			Alerts: []string{"PodNetConntrackFull"},
			Unit:   "percentunit", Max: 1, Steps: []Step{{0, green}, {0.8, yellow}, {0.98, red}},
			Queries: []Query{{Expr: most(15, `max by (node, network_namespace) (podnet_conntrack_entries{`+byNode+`} / podnet_conntrack_limit{`+byNode+`})`), Legend: "{{node}} {{network_namespace}}"}},
		},
		{
			Title: "Conntrack tables, packets lost", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Packets that connection tracking dropped or could not insert, and entries that it removed early to make room.",
			Healthy: "all at 0; single insert failures happen.", Sick: "drop: the table is full. early_drop: it is nearly. insert_failed: two packets of one flow raced, as DNS queries for A and AAAA do.",
			Alerts: []string{"PodNetConntrackFull"},
			Unit:   "pps",
			Queries: []Query{
				{Expr: most(10, sumRate("node", "podnet_conntrack_drop_total", byNode)), Legend: "{{node}} drop"},
				{Expr: most(10, sumRate("node", "podnet_conntrack_early_drop_total", byNode)), Legend: "{{node}} early_drop"},
				{Expr: most(10, sumRate("node", "podnet_conntrack_insert_failed_total", byNode)), Legend: "{{node}} insert_failed"},
			},
		},
	}
}

func tablePanels() []Panel {
	return []Panel{
		{
			Title: "Route lookups", Kind: Lines, Width: 8, Height: 8, Stacked: true,
			Shows:   "What the routing tables of the chosen nodes and their endpoint pods answer for the addresses of the chosen peers.",
			Healthy: "ok only. Where pods are routed by the fabric and not by the node, default for all of them.", Sick: "no_route, unreachable, blackhole or prohibit; default for some pods while others are ok: a route of the CNI is missing.",
			Alerts:  []string{"PodNetRouteMissing"},
			Queries: []Query{{Expr: `sum by (result) (podnet_route_lookup{` + byPair + `})`, Legend: "{{result}}"}},
		},
		{
			Title: "Route lookups that are not ok", Kind: Table, Width: 16, Height: 8,
			Shows:   "Which node has no way of its own to whose address.",
			Healthy: "no row.", Sick: "a row per missing route. Rows of one node: its CNI agent. Rows for one peer on all nodes: nobody learnt of that peer.",
			Alerts: []string{"PodNetRouteMissing"}, NoValue: "every lookup is ok",
			Queries: []Query{{OnlyDuringFault: true, Expr: `sort_desc(max by (node, vantage, peer_node, target_kind, family, result, device) (podnet_route_lookup{` + byPair + `, result!="ok"}))`}},
			Columns: []Column{
				{Field: "node", Name: "node"}, {Field: "vantage", Name: "from"}, {Field: "peer_node", Name: "peer"}, {Field: "target_kind", Name: "address of its"},
				{Field: "family", Name: "family"}, {Field: "result", Name: "result"}, {Field: "device", Name: "out of"}, {Field: "Value", Name: "now"},
			},
		},
		{
			Title: "Who listens", Kind: Table, Width: 12, Height: 8,
			Shows:   "Whether a socket listens on the responder's port in the node and in its endpoint pod, and for whom.",
			Healthy: "listens, for all (or for address) everywhere.", Sick: "nobody: the process is gone, and connections are refused. scope loopback: it runs, and others cannot reach it.",
			Alerts: []string{"PodNetNotListening"}, NoValue: "no agent looks",
			Steps: []Step{{0, red}, {1, green}}, Texts: upOrDown("listens", "nobody"),
			Queries: []Query{{Expr: `sort(max by (node, namespace, pod, protocol, port, scope) (podnet_sockets_listening{` + byNode + `, protocol="tcp"}))`}},
			Columns: []Column{
				{Field: "node", Name: "node"}, {Field: "namespace", Name: "namespace"}, {Field: "pod", Name: "pod"}, {Field: "protocol", Name: "protocol"},
				{Field: "port", Name: "port"}, {Field: "scope", Name: "scope"}, {Field: "Value", Name: "state"},
			},
		},
		{
			Title: "TCP and UDP in trouble", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Segments sent again, connections that a full accept queue refused, and datagrams that a full socket buffer dropped: all traffic of the chosen nodes and their pods, not only probes.",
			Healthy: "retransmissions low and steady, the others at 0.", Sick: "retransmits rise with the page: real traffic suffers too. listen overflows: an application does not accept. receive buffer: one does not read.",
			Unit: "pps",
			Queries: []Query{
				{Expr: most(5, sumRate("node", "podnet_tcp_retransmits_total", byNode)), Legend: "{{node}} retransmits"},
				{Expr: most(5, sumRate("node, namespace, pod", "podnet_tcp_listen_overflows_total", byNode)), Legend: "{{node}} {{namespace}}/{{pod}} listen overflows"},
				{Expr: most(5, sumRate("node, namespace, pod", "podnet_udp_receive_buffer_errors_total", byNode)), Legend: "{{node}} {{namespace}}/{{pod}} receive buffer"},
			},
		},
	}
}

// joinInfo gives an interface's series the labels that say what it is.
const joinInfo = ` * on (node, device, namespace, pod) group_left (kind, peer) podnet_interface_info{` + byNode + `}`

func interfacePanels() []Panel {
	return []Panel{
		{
			Title: "Interfaces down, by kind", Kind: Lines, Width: 12, Height: 8,
			Shows:   "How many interfaces of the chosen nodes and their pods are not up with carrier.",
			Healthy: "steady. A bridge without ports has no carrier, and is counted here.", Sick: "veth or vxlan steps up: pods were cut off at that moment.",
			Alerts:  []string{"PodNetInterfaceDown"},
			Queries: []Query{{Expr: `sum by (node, kind) ((1 - podnet_interface_up{` + byNode + `})` + joinInfo + `)`, Legend: "{{node}} {{kind}}"}},
		},
		{
			Title: "Interfaces that should be up", Kind: Table, Width: 12, Height: 8,
			Shows:   "Interfaces that carry pods and are down now. peer is the other end of a veth.",
			Healthy: "no row.", Sick: "the row names the interface, and the pod that is cut off by it. Both ends of a veth go down with either.",
			Alerts: []string{"PodNetInterfaceDown"}, NoValue: "all are up",
			Queries: []Query{{OnlyDuringFault: true, Expr: `sort_desc(max by (node, device, kind, namespace, pod, peer) (podnet:interface_down{` + byNode + `}))`}},
			Columns: []Column{
				{Field: "node", Name: "node"}, {Field: "device", Name: "interface"}, {Field: "kind", Name: "kind"}, {Field: "namespace", Name: "namespace"},
				{Field: "pod", Name: "pod"}, {Field: "peer", Name: "peer"}, {Field: "Value", Name: "down"},
			},
		},
		{
			Title: "Packets in the tunnels", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Packets that the overlay's interfaces of the chosen nodes receive (in) and send (out).",
			Healthy: "in and out of all nodes alike: the probes alone make a steady rate.", Sick: "a node whose in falls to 0 while its peers' out goes on: the tunnel's packets are lost between the nodes. A cluster without a tunnel shows none.",
			Alerts: []string{"PodNetOverlayBlocked"},
			Unit:   "pps",
			Queries: []Query{
				{Expr: orNone(`sum by (node) (`+rate("podnet_interface_receive_packets_total", byNode)+joinKind("vxlan|geneve|ipip|gre|wireguard")+`)`, "node"), Legend: "{{node}} in"},
				{Expr: orNone(`sum by (node) (`+rate("podnet_interface_transmit_packets_total", byNode)+joinKind("vxlan|geneve|ipip|gre|wireguard")+`)`, "node"), Legend: "{{node}} out"},
			},
		},
		{
			Title: "Interfaces that come and go", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Carrier changes per minute, the ten most restless interfaces.",
			Healthy: "0, but for pods that start and end.", Sick: "an uplink above 0 flaps.",
			Unit: "cpm", Queries: []Query{{Expr: most(10, sumRate("node, device, namespace, pod", "podnet_interface_carrier_changes_total", byNode)) + " * 60", Legend: "{{node}} {{device}} {{namespace}}/{{pod}}"}},
		},
		{
			Title: "Interface drops and errors", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Packets that interfaces dropped or found bad, the worst five of each kind.",
			Healthy: "0, or a low steady rate.", Sick: "receive errors: a cable, an optic or a checksum. transmit drops: the queue of that interface is full.",
			Unit: "pps",
			Queries: []Query{
				{Expr: most(5, sumRate("node, device, namespace, pod", "podnet_interface_receive_drops_total", byNode)), Legend: "{{node}} {{device}} {{namespace}}/{{pod}} receive drops"},
				{Expr: most(5, sumRate("node, device, namespace, pod", "podnet_interface_transmit_drops_total", byNode)), Legend: "{{node}} {{device}} {{namespace}}/{{pod}} transmit drops"},
				{Expr: most(5, sumRate("node, device, namespace, pod", "podnet_interface_receive_errors_total", byNode)), Legend: "{{node}} {{device}} {{namespace}}/{{pod}} receive errors"},
				{Expr: most(5, sumRate("node, device, namespace, pod", "podnet_interface_transmit_errors_total", byNode)), Legend: "{{node}} {{device}} {{namespace}}/{{pod}} transmit errors"},
			},
		},
		{
			Title: "Receive backlog of the CPUs", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Packets dropped because a CPU's backlog was full, and polls that ended with packets left.",
			Healthy: "dropped at 0. squeezed may happen under load.", Sick: "dropped above 0: the node's CPUs do not keep up with its packets (net.core.netdev_max_backlog).",
			Unit: "pps",
			Queries: []Query{
				{Expr: most(10, sumRate("node", "podnet_softnet_dropped_total", byNode)), Legend: "{{node}} dropped"},
				{Expr: most(10, sumRate("node", "podnet_softnet_squeezed_total", byNode)), Legend: "{{node}} squeezed"},
			},
		},
	}
}

// joinKind keeps the interfaces of some kinds, a regular expression.
func joinKind(kinds string) string {
	return ` * on (node, device, namespace, pod) group_left () podnet_interface_info{` + byNode + `, kind=~"` + kinds + `"}`
}
