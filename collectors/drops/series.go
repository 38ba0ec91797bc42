package drops

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// table turns the kernel's counts, by key, into a bounded number of series.
//
// Nine tenths of the limit are for series with all labels. A key that comes
// when those are taken is counted in a series that has its first labels only
// (the reason), the others being "", and when the limit is near in one that
// has none. A key stays with its series, and series only grow: which keys share
// one is decided when they are first seen, the larger counts first.
type table[K comparable] struct {
	limit int
	first int // labels that a shared series keeps
	keys  map[K]*binding
	named map[string]*series
}

// binding is the series that a key is counted in, and how much of its count
// that has already.
type binding struct {
	series *series
	last   uint64
}

// series is one exported counter.
type series struct {
	labels  []string
	packets uint64
	since   time.Time // the count was 0 then
	keys    int
	shared  bool
}

// entry is one count of the kernel's.
type entry[K comparable] struct {
	key     K
	packets uint64
}

func newTable[K comparable](limit, first int) *table[K] {
	return &table[K]{limit: limit, first: first, keys: make(map[K]*binding), named: make(map[string]*series)}
}

// update adds what was counted since the last update. labels is called for
// keys that are new; since is when none of those had been counted.
func (t *table[K]) update(counts []entry[K], since time.Time, labels func(K) []string) {
	slices.SortStableFunc(counts, func(a, b entry[K]) int { return cmp.Compare(b.packets, a.packets) })
	for _, c := range counts {
		b, ok := t.keys[c.key]
		if !ok {
			b = &binding{series: t.place(labels(c.key), since)}
			b.series.keys++
			t.keys[c.key] = b
		}
		// A count that went back was forgotten and began anew.
		if c.packets < b.last {
			b.last = 0
		}
		b.series.packets += c.packets - b.last
		b.last = c.packets
	}
}

// place returns the series for labels, or the one that it must share.
func (t *table[K]) place(labels []string, since time.Time) *series {
	if s, ok := t.get(labels, since, t.limit-t.limit/10, false); ok {
		return s
	}
	shared := make([]string, len(labels))
	copy(shared, labels[:t.first])
	if s, ok := t.get(shared, since, t.limit-1, true); ok {
		return s
	}
	s, _ := t.get(make([]string, len(labels)), since, t.limit, true)
	return s
}

// get returns the series of that name, made if there are fewer than limit.
func (t *table[K]) get(labels []string, since time.Time, limit int, shared bool) (*series, bool) {
	name := strings.Join(labels, "\xff")
	if s, ok := t.named[name]; ok {
		return s, true
	}
	if len(t.named) >= limit {
		return nil, false
	}
	s := &series{labels: labels, since: since, shared: shared}
	t.named[name] = s
	return s, true
}

// forget ends keys that will not be counted again. Their series end with the
// last of them, shared ones never.
func (t *table[K]) forget(keys []K) {
	for _, key := range keys {
		b, ok := t.keys[key]
		if !ok {
			continue
		}
		delete(t.keys, key)
		b.series.keys--
		if b.series.keys == 0 && !b.series.shared {
			delete(t.named, strings.Join(b.series.labels, "\xff"))
		}
	}
}

// matching returns the keys for which is says true.
func (t *table[K]) matching(is func(K) bool) []K {
	var keys []K
	for key := range t.keys {
		if is(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// collect sends every series. A Prometheus that ingests created timestamps
// sees a new one grow from 0.
func (t *table[K]) collect(desc *prometheus.Desc, ch chan<- prometheus.Metric) {
	for _, s := range t.named {
		ch <- prometheus.MustNewConstMetricWithCreatedTimestamp(desc, prometheus.CounterValue, float64(s.packets), s.since, s.labels...)
	}
}
