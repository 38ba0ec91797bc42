package collectors

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Set runs collectors side by side and reports, for each of them, whether it
// worked and how long it took. One that fails does not touch the others.
//
// It implements [prometheus.Collector], and may be collected by several
// scrapes at once.
type Set struct {
	members           []*member
	log               *slog.Logger
	duration, success *prometheus.Desc
}

// member is a collector with the state of its log: a condition is logged when
// it begins and when it ends, not at every scrape.
type member struct {
	name string
	Collector

	mu  sync.Mutex
	err error // of the last collection
}

// Status is how a collector's last collection went.
type Status struct {
	Name string
	Err  error // nil if it read everything, or has not run yet
}

// Status returns how each collector's last collection went, sorted by name.
func (s *Set) Status() []Status {
	var all []Status
	for _, m := range s.members {
		m.mu.Lock()
		all = append(all, Status{Name: m.name, Err: m.err})
		m.mu.Unlock()
	}
	return all
}

// NewSet returns a Set of the given collectors. The keys are the values of
// the label "collector".
func NewSet(collectors map[string]Collector, log *slog.Logger) *Set {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "collector", name), help, []string{"collector"}, nil)
	}
	s := &Set{
		log: log,
		duration: desc("duration_seconds",
			"Time that the collector took in this scrape."),
		success: desc("success",
			"1 if the collector read everything it should, 0 if it failed or cannot work on this machine; the log says why."),
	}
	for _, name := range slices.Sorted(maps.Keys(collectors)) {
		s.members = append(s.members, &member{name: name, Collector: collectors[name]})
	}
	return s
}

// Describe implements [prometheus.Collector].
func (s *Set) Describe(ch chan<- *prometheus.Desc) {
	ch <- s.duration
	ch <- s.success
	for _, m := range s.members {
		m.Describe(ch)
	}
}

// Collect implements [prometheus.Collector].
func (s *Set) Collect(ch chan<- prometheus.Metric) {
	var running sync.WaitGroup
	for _, m := range s.members {
		running.Go(func() { s.collect(m, ch) })
	}
	running.Wait()
}

// collect runs one collector. A panic is a bug and is not caught.
func (s *Set) collect(m *member, ch chan<- prometheus.Metric) {
	start := time.Now()
	err := m.Collect(ch)
	took := time.Since(start)

	success := 1.0
	if err != nil {
		success = 0
	}
	ch <- prometheus.MustNewConstMetric(s.duration, prometheus.GaugeValue, took.Seconds(), m.name)
	ch <- prometheus.MustNewConstMetric(s.success, prometheus.GaugeValue, success, m.name)
	m.report(s.log, err)
}

// report logs the begin and the end of a failure.
func (m *member) report(log *slog.Logger, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.err
	m.err = err
	switch {
	case (err == nil) == (before == nil):
	case err == nil:
		log.Info("collector works again", "collector", m.name)
	case errors.Is(err, ErrUnsupported):
		log.Warn("collector cannot work on this machine, the others go on; this is said once", "collector", m.name, "err", err)
	default:
		log.Error("collector fails, what it could not read is missing from /metrics; this is said once until it works again", "collector", m.name, "err", err)
	}
}
