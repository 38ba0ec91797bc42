package main

import "fmt"

// Label matchers by the variables at the top of the board.
const (
	byNode = `node=~"$node"`                                             // what a node says of itself
	byPeer = `peer_node=~"$peer_node"`                                   // what is said about a peer
	byPair = `node=~"$node", peer_node=~"$peer_node", family=~"$family"` // what a node says about a peer
	byEnds = `source_node=~"$node|", peer_node=~"$peer_node|"`           // packets of a pair, wherever they are; an unknown end is ""
)

// rate returns the increase per second of the counters that match.
func rate(metric, matchers string) string {
	return fmt.Sprintf(`rate(%s{%s}[$__rate_interval])`, metric, matchers)
}

// sumRate returns the increase per second of the counters that match, added
// up by the labels.
func sumRate(by, metric, matchers string) string {
	return fmt.Sprintf(`sum by (%s) (%s)`, by, rate(metric, matchers))
}

// ratio returns the share that the increase of one counter is of another's.
func ratio(by, part, whole, matchers string) string {
	return sumRate(by, part, matchers) + " / " + sumRate(by, whole, matchers)
}

// orNone adds a line at zero under the name none in label, for as long as the
// expression has no series at all. Counters and rules of faults have none in a
// healthy cluster, and an empty panel would look like a broken one.
func orNone(expr, label string) string {
	return fmt.Sprintf(`(%s) or on () label_replace(vector(0), %q, "none", "", "")`, expr, label)
}

// quantile returns a quantile of a native histogram.
func quantile(q, by, metric, matchers string) string {
	return fmt.Sprintf(`histogram_quantile(%s, %s)`, q, sumRate(by, metric, matchers))
}

// quantileOf returns a quantile of a histogram, of its native form where
// Prometheus stores that, and of its classic one otherwise.
func quantileOf(q, by, metric, matchers string) string {
	return quantile(q, by, metric, matchers) + " or " +
		fmt.Sprintf(`histogram_quantile(%s, %s)`, q, sumRate(by+", le", metric+"_bucket", matchers))
}

// most returns the n series with the largest values.
func most(n int, expr string) string { return fmt.Sprintf(`topk(%d, %s)`, n, expr) }
