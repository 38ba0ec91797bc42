package collectors

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// scripted sends one metric and then returns the next of its errors.
type scripted struct {
	desc *prometheus.Desc
	errs []error
}

func newScripted(name string, errs ...error) *scripted {
	return &scripted{prometheus.NewDesc("podnet_"+name, "A test.", nil, nil), errs}
}

func (s *scripted) Describe(ch chan<- *prometheus.Desc) { ch <- s.desc }

func (s *scripted) Collect(ch chan<- prometheus.Metric) error {
	ch <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, 1)
	if len(s.errs) == 0 {
		return nil
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return err
}

func TestSetKeepsCollectorsApart(t *testing.T) {
	set := NewSet(map[string]Collector{
		"bad":  newScripted("bad", errors.New("cannot read")),
		"good": newScripted("good"),
		"old":  newScripted("old", fmt.Errorf("%w: needs Linux 9", ErrUnsupported)),
	}, slog.New(slog.DiscardHandler))

	want := `
# HELP podnet_bad A test.
# TYPE podnet_bad gauge
podnet_bad 1
# HELP podnet_collector_success 1 if the collector read everything it should, 0 if it failed or cannot work on this machine; the log says why.
# TYPE podnet_collector_success gauge
podnet_collector_success{collector="bad"} 0
podnet_collector_success{collector="good"} 1
podnet_collector_success{collector="old"} 0
# HELP podnet_good A test.
# TYPE podnet_good gauge
podnet_good 1
`
	if err := testutil.CollectAndCompare(set, strings.NewReader(want), "podnet_bad", "podnet_good", "podnet_collector_success"); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(set, "podnet_collector_duration_seconds"); n != 3 {
		t.Errorf("%d durations; want one per collector", n)
	}
	lint(t, set)
}

func TestSetLogsAConditionWhenItBeginsAndWhenItEnds(t *testing.T) {
	broken := errors.New("cannot read")
	tests := []struct {
		name string
		errs []error
		want []string
	}{
		{"a collector that works is not mentioned", []error{nil, nil, nil}, nil},
		{"a failure that lasts is logged once", []error{broken, broken, broken, nil, nil}, []string{"ERROR", "INFO"}},
		{"a failure that comes back is logged again", []error{broken, nil, broken, nil}, []string{"ERROR", "INFO", "ERROR", "INFO"}},
		{"what cannot work here is said once", []error{ErrUnsupported, ErrUnsupported, ErrUnsupported}, []string{"WARN"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			set := NewSet(map[string]Collector{"x": newScripted("x", tt.errs...)}, slog.New(slog.NewTextHandler(&log, nil)))
			for range tt.errs {
				testutil.CollectAndCount(set)
			}
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if log.Len() == 0 {
				lines = nil
			}
			if len(lines) != len(tt.want) {
				t.Fatalf("logged:\n%s\nwant %v", &log, tt.want)
			}
			for i, level := range tt.want {
				if !strings.Contains(lines[i], "level="+level) || !strings.Contains(lines[i], "collector=x") ||
					(level != "INFO") != strings.Contains(lines[i], "err=") {
					t.Errorf("line %d is %s; want level %s, the collector and, of a failure, err", i, lines[i], level)
				}
			}
		})
	}
}
