package main

// kubernetesBoard is the board for what the cluster says of its nodes: whether
// pods get a network, and whether the mesh covers everybody.
func kubernetesBoard() Board {
	return Board{
		UID:   "podnet-kubernetes",
		Title: "podnet / Kubernetes",
		Description: "What the agents learn from the API server: pods that get no network, the conditions of the nodes, " +
			"the endpoints, and who is probed. Empty where nodes are listed in a file, but for the last row.",
		Variables: []Variable{
			{Name: "datasource", Label: "Prometheus"},
			{Name: "node", Label: "Node (reports)", Query: "label_values(podnet_build_info, node)"},
		},
		Rows: []Row{
			{"1 · Is anything wrong?", kubernetesNumbers()},
			{"2 · Do pods get a network?", sandboxPanels()},
			{"3 · What is a node like?", nodePanels()},
			{"4 · Does discovery work, and is everybody probed?", discoveryPanels()},
		},
	}
}

// kubernetesMetrics is what the metrics begin with that only agents in
// Kubernetes have. The test against a lab leaves out the queries with them.
const kubernetesMetrics = "podnet_kubernetes_"

// kubernetesNumbers are the line of numbers at the top.
func kubernetesNumbers() []Panel {
	number := func(p Panel) Panel {
		p.Kind, p.Width, p.Height = Stat, 6, 4
		return p
	}
	return []Panel{
		number(Panel{
			Title: "Pods without a network", Steps: zeroIsGood(red),
			Shows: "Pods that have waited for their sandbox for more than 10 seconds because attempts to make it fail.", Healthy: "0.",
			Sick:    "more: the node below gives pods no network. What runs there goes on.",
			Queries: []Query{{Expr: `sum(podnet_kubernetes_pods_without_sandbox{reason!="none"})`}},
		}),
		number(Panel{
			Title: "Nodes that are not ready", Steps: zeroIsGood(orange),
			Shows: "Nodes whose agent reports that their Node is not Ready.", Healthy: "0.",
			Sick:    "more: their reason is in the bars below; NetworkPluginNotReady is the CNI.",
			Queries: []Query{{Expr: `count(podnet_kubernetes_node_condition{condition="Ready", status!="true"}) or vector(0)`}},
		}),
		number(Panel{
			Title: "Endpoints that do not run", Steps: zeroIsGood(yellow),
			Shows: "Nodes whose endpoint pod is anything else than running and ready.", Healthy: "0, and a few for seconds during a rollout.",
			Sick:    "more, and it stays: the pod network of these nodes is not measured.",
			Queries: []Query{{Expr: `count(podnet_kubernetes_endpoint_pod_state{state!="running"}) or vector(0)`}},
		}),
		number(Panel{
			Title: "Agents that reach the API server", Unit: "percentunit", Max: 1, Steps: []Step{{0, red}, {0.5, yellow}, {1, green}},
			Shows: "The share of agents whose watches are live.", Healthy: "100 %.",
			Sick:    "0 %: the API server is away, and the last mesh goes on. Some: only these nodes do not reach it.",
			Alerts:  []string{"PodNetAPIServerAway"},
			Queries: []Query{{Expr: `avg(podnet_kubernetes_api_up)`}},
		}),
	}
}

// sandboxPanels answer which nodes give pods no network, and why.
func sandboxPanels() []Panel {
	return []Panel{
		{
			Title: "Attempts that failed, by reason", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Sandboxes that could not be made on the chosen nodes, per second, by the class of the kubelet's message, the fifteen worst.",
			Healthy: "0, and single ones when a CNI restarts.", Sick: "plugin_error, timeout: the CNI fails. plugin_missing: it is not installed. no_addresses: the pod range is used up. other: not the network. The kubelet reports two dozen of a pod and then one in five minutes, so a falling line is no recovery.",
			Alerts:  []string{"PodNetCNIFailing", "PodNetCNINotInstalled", "PodNetIPPoolExhausted", "PodNetPodsNotStarting"},
			Queries: []Query{{Expr: most(15, sumRate("node, reason", "podnet_kubernetes_sandbox_failures_total", byNode)), Legend: "{{node}} {{reason}}"}},
		},
		{
			Title: "Pods that wait for their sandbox", Kind: Lines, Width: 12, Height: 8, Stacked: true,
			Shows:   "Pods of the chosen nodes that have had no sandbox for more than 10 seconds, by their latest failure; none: no failure was reported, they wait for volumes or for the CNI's configuration.",
			Healthy: "0, or none for a moment.", Sick: "a step that stays: these pods do not start until the cause is gone.",
			Alerts:  []string{"PodNetCNIFailing", "PodNetIPPoolExhausted", "PodNetPodsNotStarting"},
			Queries: []Query{{Expr: "sum by (reason) (podnet_kubernetes_pods_without_sandbox{" + byNode + "})", Legend: "{{reason}}"}},
		},
		{
			Title: "Nodes that give pods no network", Kind: Table, Width: 24, Height: 6,
			Shows:   "Nodes on which every attempt fails, with the class of failure and the pods that wait: what the alerts see. Nodes that have just joined or are under maintenance are left out.",
			Healthy: "no row.", Sick: "a row: log in to that node.",
			Alerts: []string{"PodNetCNIFailing", "PodNetCNINotInstalled", "PodNetIPPoolExhausted", "PodNetPodsNotStarting"}, NoValue: "every node gives pods a network",
			Queries: []Query{{OnlyDuringFault: true, Expr: `sort_desc(max by (node, reason) (podnet:sandbox_failing:pods{` + byNode + `}))`}},
			Columns: []Column{{Field: "node", Name: "node"}, {Field: "reason", Name: "reason"}, {Field: "Value", Name: "pods"}},
		},
	}
}

// nodePanels answer what state nodes and their endpoints are in.
func nodePanels() []Panel {
	return []Panel{
		{
			Title: "Nodes that are ready", Kind: Timeline, Width: 8, Height: 9,
			Shows:   "Whether the Node of each chosen node is Ready.",
			Healthy: "one unbroken green bar per node.", Sick: "red: not ready; the reason is in the table. A gap: its agent is not scraped.",
			Alerts:  []string{"PodNetCNINotInstalled"},
			Queries: []Query{{Expr: `max by (node) (podnet_kubernetes_node_condition{condition="Ready", status="true", ` + byNode + `} or 0 * podnet_kubernetes_node_condition{condition="Ready", status!="true", ` + byNode + `})`, Legend: "{{node}}"}},
			Steps:   []Step{{0, red}, {1, green}}, Texts: upOrDown("ready", "not ready"), Max: 1,
		},
		{
			Title: "Conditions that are not as they should be", Kind: Table, Width: 8, Height: 9,
			Shows:   "Conditions of the chosen nodes that have a reason; Schedulable is false while a node is cordoned or drained.",
			Healthy: "no row.", Sick: "Ready, NetworkPluginNotReady: no CNI configuration. NetworkUnavailable: a cloud's routes are not set. Cordoned and Draining are maintenance, which pages nobody.",
			Alerts: []string{"PodNetCNINotInstalled"}, NoValue: "all nodes are as they should be",
			Queries: []Query{{OnlyDuringFault: true, Expr: `max by (node, condition, status, reason) (podnet_kubernetes_node_condition{reason!="", ` + byNode + `})`}},
			Columns: []Column{
				{Field: "node", Name: "node"}, {Field: "condition", Name: "condition"}, {Field: "status", Name: "status"},
				{Field: "reason", Name: "reason"}, {Field: "Value", Name: "is"},
			},
		},
		{
			Title: "Endpoint pods, by state", Kind: Lines, Width: 8, Height: 9, Stacked: true,
			Shows:   "Endpoint pods of the chosen nodes by state, and why a container of them waits.",
			Healthy: "all running.", Sick: "starting with ContainerCreating: no network, see above. ImagePullBackOff, CrashLoopBackOff: the image or the process. missing: the DaemonSet makes none for the node.",
			Alerts:  []string{"PodNetEndpointNotRunning"},
			Queries: []Query{{Expr: `count by (state) (label_join(podnet_kubernetes_endpoint_pod_state{` + byNode + `}, "state", " ", "state", "reason"))`, Legend: "{{state}}"}},
		},
	}
}

// discoveryPanels answer whether agents know whom to probe.
func discoveryPanels() []Panel {
	return []Panel{
		{
			Title: "What agents lack", Kind: Lines, Width: 8, Height: 8,
			Shows:   "Agents that do not get a part of what they read from the API server, by part.",
			Healthy: "all at 0.", Sick: "a part at the number of agents: its permission, or the Service, is missing. At one: look at that node. The agent's log names it.",
			Alerts:  []string{"PodNetDiscoveryFailed"},
			Queries: []Query{{Expr: "sum by (resource) (1 - podnet_kubernetes_source_ok{" + byNode + "})", Legend: "{{resource}}"}},
		},
		{
			Title: "Requests to the API server that fail", Kind: Lines, Width: 8, Height: 8,
			Shows:   "Lists and watches of the chosen agents that failed, per second, by resource.",
			Healthy: "0; single ones when an API server is replaced.", Sick: "many, of every resource: it is away. Of one resource: the permission for it is missing.",
			Alerts:  []string{"PodNetAPIServerAway", "PodNetDiscoveryFailed"},
			Queries: []Query{{Expr: sumRate("resource", "podnet_kubernetes_watch_errors_total", byNode), Legend: "{{resource}}"}},
		},
		{
			Title: "Peers, by state", Kind: Lines, Width: 8, Height: 8, Stacked: true,
			Shows:   "How many peers the chosen agents have, by what discovery knows of them; unprobed are those that others probe.",
			Healthy: "ready for the most part.", Sick: "not_ready, cordoned and draining are known to be down and page nobody. A fall of all: discovery lost nodes.",
			Queries: []Query{{Expr: "sum by (state) (podnet_peers{" + byNode + "})", Legend: "{{state}}"}},
		},
		{
			Title: "Nodes that probe a node", Kind: Lines, Width: 12, Height: 8,
			Shows:   "How many others probe each of the fifteen nodes that are probed by the fewest: of those that report it to Prometheus, and as the node's own responder saw them.",
			Healthy: "8 or more, or all others in a small cluster; a node that joins is there within a minute.", Sick: "fewer: votes about that node rest on few peers. None: nobody would notice that it is down.",
			Alerts: []string{"PodNetNotCovered"},
			Queries: []Query{
				{Expr: `bottomk(15, max by (peer_node) (podnet:voters:count))`, Legend: "{{peer_node}}, by those who report"},
				{Expr: `bottomk(15, max by (node) (podnet_coverage_probed_by))`, Legend: "{{node}}, as its responder saw"},
			},
		},
		{
			Title: "Nodes that are visited in turn", Kind: Lines, Width: 12, Height: 8,
			Shows:   "Visits per second to nodes that are not probed all the time, by result, and nodes that were found unreachable and are still.",
			Healthy: "ok only; nothing at all in a cluster in which everybody probes everybody.", Sick: "unreachable above 0: a pair that rarely meets, see podnet_rotation_unreachable.",
			Alerts: []string{"PodNetVisitFailed"},
			Queries: []Query{
				{Expr: sumRate("result", "podnet_rotation_visits_total", byNode), Legend: "{{result}}"},
				{Expr: orNone("count(podnet_rotation_unreachable{"+byNode+"})", "state"), Legend: "unreachable"},
			},
		},
	}
}
