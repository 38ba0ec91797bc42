package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// Counted returns a Gatherer that adds podnet_series to what g gathers: how
// many series a scrape of it makes, itself among them, so that growth is seen
// before it hurts.
func Counted(g prometheus.Gatherer, labels prometheus.Labels) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		n := 1
		for _, f := range families {
			n += Series(f)
		}
		own := &dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(float64(n))}}
		for name, value := range labels {
			own.Label = append(own.Label, &dto.LabelPair{Name: proto.String(name), Value: proto.String(value)})
		}
		return append(families, &dto.MetricFamily{
			Name:   proto.String("podnet_series"),
			Help:   proto.String("Series in this exposition. A native histogram counts as one."),
			Type:   dto.MetricType_GAUGE.Enum(),
			Metric: []*dto.Metric{own},
		}), err
	})
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
