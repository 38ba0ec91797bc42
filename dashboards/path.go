package main

// Label matchers of the path board.
const (
	byPath     = byPair + `, vantage=~"$vantage"` // what a node says about the way to a peer
	byPathEnds = `node=~"$node|$peer_node"`       // what either end of the way says of itself
	hopLabels  = "node, vantage, peer_node, family, ttl"
)

// pathBoard is the board for somebody who knows which nodes are affected, and
// asks where between them it happens: mtr, all the time.
func pathBoard() Board {
	return Board{
		UID:   "podnet-path",
		Title: "podnet / Path",
		Description: "The ways between nodes, hop by hop: where loss begins, who is at which hop, how large a packet fits, and which direction is at fault. " +
			"Choose one source, one peer, one vantage and one family to see one path; otherwise the chosen paths are added up.",
		Variables: []Variable{
			{Name: "datasource", Label: "Prometheus"},
			{Name: "node", Label: "Node (source)", Query: "label_values(podnet_build_info, node)"},
			{Name: "peer_node", Label: "Peer (end of the path)", Query: "label_values(podnet_path_hop_sent_total, peer_node)"},
			{Name: "vantage", Label: "Vantage", Query: "label_values(podnet_path_hop_sent_total, vantage)"},
			{Name: "family", Label: "Address family", Query: "label_values(podnet_path_hop_sent_total, family)"},
		},
		Rows: []Row{
			{"1 · Where does lasting loss begin?", lossBeginsPanels()},
			{"2 · Who is on the way?", hopPanels()},
			{"3 · What does each hop lose, and how late is it?", hopTimePanels()},
			{"4 · Does a large packet fit?", pathMTUPanels()},
			{"5 · Which direction, and which queue?", directionPanels()},
		},
	}
}
