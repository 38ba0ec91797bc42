package main

import "slices"

// meshBoard is the board for somebody who was just paged. Its rows are the
// questions in the order in which they are asked.
func meshBoard() Board {
	return Board{
		UID:   "podnet-mesh",
		Title: "podnet / Mesh overview",
		Description: "From a page to its cause: is it the network, where, why, and how slow. " +
			"Every panel says behind its information sign what is healthy and what is sick.",
		Variables: []Variable{
			{Name: "datasource", Label: "Prometheus"},
			{Name: "node", Label: "Node (reports)", Query: "label_values(podnet_build_info, node)"},
			{Name: "peer_node", Label: "Peer (is probed)", Query: "label_values(podnet_peer_verdicts_total, peer_node)"},
			{Name: "family", Label: "Address family", Query: "label_values(podnet_peer_verdicts_total, family)"},
		},
		Rows: []Row{
			{"1 · Is it the network?", symptomPanels()},
			{"2 · Where?", wherePanels()},
			{"3 · Why? What the kernels saw of the probes", dropPanels()},
			{"3 · Why? What the nodes are like", evidencePanels()},
			{"4 · How slow?", slices.Concat(slowPanels(), pathPanels())},
			{"5 · What does it cost?", costPanels()},
		},
	}
}

// Colours of values.
const (
	green  = "green"
	yellow = "yellow"
	orange = "orange"
	red    = "red"
	blue   = "blue"
)

// zeroIsGood colours every value above zero.
func zeroIsGood(color string) []Step { return []Step{{0, green}, {1, color}} }

// upOrDown names the values of a gauge that is 1 while all is well.
func upOrDown(up, down string) []Text { return []Text{{"1", up, green}, {"0", down, red}} }

// runbook leads from the name of an alert to its runbook.
const runbook = "https://github.com/podnet-exporter/podnet_exporter/blob/main/alerts/runbooks/${__value.raw}.md"
