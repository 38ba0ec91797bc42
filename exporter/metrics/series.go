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
		n, all := 1, 0
		for _, f := range families {
			n += Series(f)
			for _, m := range f.Metric {
				all += len(m.Label) + len(pairs)
			}
		}
		room := make([]*dto.LabelPair, 0, all) // one array for all lists
		for _, f := range families {
			for _, m := range f.Metric {
				from := len(room)
				room = merged(room, m.Label, pairs)
				m.Label = room[from:len(room):len(room)]
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

// merged appends the labels of two lists to all, sorted by name as they are. The
// lists belong to others and are not changed.
func merged(all, own, more []*dto.LabelPair) []*dto.LabelPair {
	for _, label := range own {
		for len(more) > 0 && more[0].GetName() < label.GetName() {
			all = append(all, more[0])
			more = more[1:]
		}
		all = append(all, label)
	}
	return append(all, more...)
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
