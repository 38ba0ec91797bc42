// Package paging watches a lab's Prometheus and Alertmanager while something
// in it is broken, and judges what they say.
package paging

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// Alert is one alert as Alertmanager delivers it.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
}

// Sample is one element of a Prometheus vector.
type Sample struct {
	Labels map[string]string
	Value  float64
	Time   time.Time
}

// Monitor is a lab's Prometheus and Alertmanager.
type Monitor struct {
	Netns                            string // namespace that both listen in
	PrometheusPort, AlertmanagerPort int
	Pace                             Pace
}

// SeverityPage is the severity of an alert that wakes somebody.
const SeverityPage = "page"

// Alerts returns the alerts that Alertmanager holds for firing and that
// are neither silenced nor inhibited.
func (m Monitor) Alerts(ctx context.Context) ([]Alert, error) {
	var alerts []Alert
	err := m.get(ctx, m.AlertmanagerPort, "/api/v2/alerts?active=true&silenced=false&inhibited=false", &alerts)
	if err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	return alerts, nil
}

// Query evaluates an expression in the lab's Prometheus, now. The
// expression must give a vector.
func (m Monitor) Query(ctx context.Context, expr string) ([]Sample, error) {
	var answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := m.Prometheus(ctx, "/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	if answer.Data.ResultType != "vector" {
		return nil, fmt.Errorf("prometheus: %q gives a %s, not a vector", expr, answer.Data.ResultType)
	}
	return parseVector(answer.Data.Result)
}

func parseVector(b []byte) ([]Sample, error) {
	var result []struct {
		Metric map[string]string
		Value  [2]any
	}
	if err := json.Unmarshal(b, &result); err != nil {
		return nil, fmt.Errorf("prometheus: vector: %w", err)
	}
	samples := make([]Sample, 0, len(result))
	for _, r := range result {
		seconds, _ := r.Value[0].(float64)
		text, _ := r.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("prometheus: value: %w", err)
		}
		samples = append(samples, Sample{Labels: r.Metric, Value: value, Time: time.UnixMilli(int64(seconds * 1000))})
	}
	return samples, nil
}

// Prometheus reads a document of Prometheus.
func (m Monitor) Prometheus(ctx context.Context, path string, into any) error {
	return m.get(ctx, m.PrometheusPort, path, into)
}

// get reads a document of a program in the monitoring namespace.
func (m Monitor) get(ctx context.Context, port int, path string, into any) error {
	b, err := m.read(ctx, port, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (m Monitor) read(ctx context.Context, port int, path string) ([]byte, error) {
	return netspace.Get(ctx, m.Netns, fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
}
