package probers

import (
	"math"
	"net/netip"
	"slices"
)

// Loss is how many probes a hop lost. Tried leaves out those in flight.
type Loss struct {
	Tried int
	Lost  int
}

// rate is the part that was lost, 0 to 1.
func (l Loss) rate() float64 {
	if l.Tried == 0 {
		return 0
	}
	return float64(l.Lost) / float64(l.Tried)
}

// answered is whether the hop answered at all.
func (l Loss) answered() bool { return l.Lost < l.Tried }

// The judgement of loss. All of these are probabilities of being wrong.
const (
	lossBaseline = 0.001 // loss that nobody calls so
	lossDoubt    = 0.01  // how likely chance may make a hop's loss of the baseline
	lowerDoubt   = 0.05  // how likely chance may make one hop lose less than another
)

// LossBegins returns at which hop the loss begins that lasts to the end of a
// path, as an index of hops, nearest first. The last of them is the end. It is
// false if nothing is lost at the end, or no more than chance explains.
//
// What a hop in the middle loses and later hops do not is its own doing: it
// limits how many errors it sends, and forwards all the same. So loss begins
// at the nearest hop that loses and behind which all that answer lose at least
// about as much, by what samples of their size can tell. Hops that never
// answer say nothing. If the end never answers, loss begins behind the last
// hop that does.
func LossBegins(hops []Loss) (int, bool) {
	if len(hops) == 0 || !lasting(hops[len(hops)-1]) {
		return 0, false
	}
	last := len(hops) - 1
	if !hops[last].answered() {
		for last > 0 && !hops[last-1].answered() {
			last--
		}
		return last, true
	}
	for i, h := range hops {
		if h.answered() && lasting(h) && !slices.ContainsFunc(hops[i+1:], func(later Loss) bool { return later.answered() && lower(later, h) }) {
			return i, true
		}
	}
	return last, true
}

// lasting is whether loss is more than chance makes of the baseline.
func lasting(l Loss) bool {
	return l.Lost >= 2 && atLeast(l.Lost, l.Tried, lossBaseline) < lossDoubt
}

// lower is whether a loses less than b: either both could hardly be samples of
// one rate (Fisher's exact test), or the samples are too small for that and
// a's loss is likelier with the baseline than with b's rate.
func lower(a, b Loss) bool {
	if a.rate() >= b.rate() {
		return false
	}
	return fisher(a, b) < lowerDoubt || likelihood(a, lossBaseline) > likelihood(a, b.rate())
}

// atLeast is the probability that of n, each lost with probability p, k or
// more are lost.
func atLeast(k, n int, p float64) float64 {
	less := 0.0
	for i := range k {
		less += math.Exp(logChoose(n, i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return max(0, 1-less)
}

// likelihood is the logarithm of the probability of a sample, up to a constant.
func likelihood(l Loss, p float64) float64 {
	p = min(max(p, 1e-12), 1-1e-12)
	return float64(l.Lost)*math.Log(p) + float64(l.Tried-l.Lost)*math.Log1p(-p)
}

// fisher is the probability that a has so few of the losses of both, or fewer,
// if both lose at the same rate.
func fisher(a, b Loss) float64 {
	lost, tried := a.Lost+b.Lost, a.Tried+b.Tried
	sum := 0.0
	for k := max(0, lost-b.Tried); k <= a.Lost; k++ {
		sum += math.Exp(logChoose(a.Tried, k) + logChoose(b.Tried, lost-k) - logChoose(tried, lost))
	}
	return sum
}

func logChoose(n, k int) float64 {
	logFactorial := func(n int) float64 { l, _ := math.Lgamma(float64(n) + 1); return l }
	return logFactorial(n) - logFactorial(k) - logFactorial(n-k)
}

// LossPoint is where lasting loss begins on a path.
type LossPoint struct {
	TTL   uint8      // of the first hop that loses
	Addr  netip.Addr // of that hop; invalid if it never answered
	After netip.Addr // the nearest hop before it that answers; invalid if there is none: it is this node itself
	Flows []uint16   // on which it loses, sorted
	Loss  Loss       // at the end of those flows
	Total bool       // nothing comes back from there or beyond
}

// LossBegins returns where the flow begins to lose for good. See [LossBegins].
func (f FlowReport) LossBegins() (ttl uint8, ok bool) {
	p, ok := lossPoint([]FlowReport{f})
	return p.TTL, ok
}

// LossBegins returns the hops where lasting loss begins, sorted by address:
// none, or usually one. Flows that take the same way are judged together, each
// way for itself, so that of several equal-cost paths the one that loses is
// named and no other.
//
// Answers come back on ways of their own, and a far end that answers over a
// broken way seems to lose on all. So when several ways lose, those where loss
// begins nearest count: what a way loses later, behind the hops that it has to
// itself, is explained by them.
func (r PathReport) LossBegins() []LossPoint {
	if !r.LosesAtEnd() {
		return nil
	}
	var points []LossPoint
	for _, way := range r.ways() {
		if p, ok := lossPoint(way); ok {
			points = append(points, p)
		}
	}
	if len(points) == 0 {
		return nil
	}
	nearest := slices.MinFunc(points, func(a, b LossPoint) int { return int(a.TTL) - int(b.TTL) }).TTL
	points = slices.DeleteFunc(points, func(p LossPoint) bool { return p.TTL != nearest })
	slices.SortStableFunc(points, func(a, b LossPoint) int { return a.Addr.Compare(b.Addr) })
	return joinPoints(points)
}

// LosesAtEnd reports whether a probe to the end of a flow is missing among the
// latest [PathOptions].Window.
func (r PathReport) LosesAtEnd() bool {
	return slices.ContainsFunc(r.Flows, func(f FlowReport) bool {
		return f.Hops[len(f.Hops)-1].Recent.Lost > 0
	})
}

// ways groups the flows by the way they take.
func (r PathReport) ways() [][]FlowReport {
	var ways [][]FlowReport
	index := make(map[string]int)
	for _, f := range r.Flows {
		id := f.ID(nil)
		i, known := index[id]
		if !known {
			i = len(ways)
			index[id] = i
			ways = append(ways, nil)
		}
		ways[i] = append(ways[i], f)
	}
	return ways
}

// lossPoint judges flows that take the same way.
func lossPoint(way []FlowReport) (LossPoint, bool) {
	longest := way[0].Hops
	for _, f := range way {
		if len(f.Hops) > len(longest) {
			longest = f.Hops
		}
	}
	hops := make([]Loss, len(longest))
	for _, f := range way {
		for i, h := range f.Hops {
			hops[i].Tried += h.Recent.Tried
			hops[i].Lost += h.Recent.Lost
		}
	}
	i, ok := LossBegins(hops)
	if !ok {
		return LossPoint{}, false
	}
	p := LossPoint{TTL: longest[i].TTL, Addr: longest[i].Addr, Loss: hops[len(hops)-1]}
	p.Total = !p.Loss.answered()
	for j := i - 1; j >= 0 && !p.After.IsValid(); j-- {
		p.After = longest[j].Addr
	}
	for _, f := range way {
		p.Flows = append(p.Flows, f.Flow)
	}
	return p, true
}

// joinPoints makes one of points, sorted by address, that are the same hop.
func joinPoints(points []LossPoint) []LossPoint {
	joined := points[:1]
	for _, p := range points[1:] {
		last := &joined[len(joined)-1]
		if p.Addr != last.Addr || p.After != last.After {
			joined = append(joined, p)
			continue
		}
		last.Flows = append(last.Flows, p.Flows...)
		last.Loss.Tried += p.Loss.Tried
		last.Loss.Lost += p.Loss.Lost
		last.Total = last.Total && p.Total
		slices.Sort(last.Flows)
	}
	return joined
}
