package metrics

import (
	"cmp"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// Counted returns a Gatherer that gathers what g does, with further labels, and
// adds podnet_series: how many series a scrape of it makes, itself among them,
// so that growth is seen before it hurts.
//
// [prometheus.WrapRegistererWith] gives labels too, and takes a fifth of a
// scrape's time for it.
func Counted(g prometheus.Gatherer, labels prometheus.Labels) prometheus.Gatherer {
	var pairs []*dto.LabelPair
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, &dto.LabelPair{Name: proto.String(name), Value: proto.String(labels[name])})
	}
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		n := 1
		for _, f := range families {
			n += Series(f)
			for _, m := range f.Metric {
				m.Label = labelled(m.Label, pairs)
			}
		}
		own := &dto.MetricFamily{
			Name:   proto.String("podnet_series"),
			Help:   proto.String("Series in this exposition. A native histogram counts as one."),
			Type:   dto.MetricType_GAUGE.Enum(),
			Metric: []*dto.Metric{{Label: pairs, Gauge: &dto.Gauge{Value: proto.Float64(float64(n))}}},
		}
		at, _ := slices.BinarySearchFunc(families, own.GetName(), func(f *dto.MetricFamily, name string) int {
			return cmp.Compare(f.GetName(), name)
		})
		return slices.Insert(families, at, own), err
	})
}

// labelled returns a metric's labels and the further ones, sorted by name as
// they are. The list belongs to the metric and is not changed.
func labelled(own, more []*dto.LabelPair) []*dto.LabelPair {
	all := make([]*dto.LabelPair, 0, len(own)+len(more))
	all = append(append(all, own...), more...)
	slices.SortFunc(all, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all
}

// Series returns the number of series of a family as Prometheus stores them.
func Series(f *dto.MetricFamily) int {
	n := 0
	for _, m := range f.Metric {
		switch {
		case m.Histogram != nil && len(m.Histogram.Bucket) > 0:
			n += len(m.Histogram.Bucket) + 3 // +Inf, sum, count
		case m.Summary != nil:
			n += len(m.Summary.Quantile) + 2
		default:
			n++
		}
	}
	return n
}
