package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
)

// labNamespace is where the lab's Prometheus listens, on loopback too.
const labNamespace = "/run/netns/podnet-mon"

// labWindow is $__rate_interval in the lab, which scrapes every second.
const labWindow = "10s"

// lab is the Prometheus of a cluster that runs.
type lab struct {
	url    string
	client *http.Client
}

// findLab returns the Prometheus at $PODNET_LAB_PROMETHEUS, or that of the lab
// on this machine.
func findLab(t *testing.T) lab {
	t.Helper()
	if at := os.Getenv("PODNET_LAB_PROMETHEUS"); at != "" {
		return lab{url: strings.TrimSuffix(at, "/"), client: http.DefaultClient}
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to enter the lab, or PODNET_LAB_PROMETHEUS with the URL of a Prometheus that scrapes a cluster")
	}
	if _, err := os.Stat(labNamespace); err != nil {
		t.Skip("needs the lab (go run ./deploy/lab up), or PODNET_LAB_PROMETHEUS with the URL of a Prometheus that scrapes a cluster")
	}
	ns, err := netns.Open(labNamespace)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		// Without a name to resolve and one address only, the dial stays on
		// the thread that is in the namespace.
		enter := ns.Do(func() error {
			conn, err = (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, network, address)
			return err
		})
		return conn, enter
	}
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return lab{url: "http://127.0.0.1:9090", client: &http.Client{Transport: transport}}
}

// waitForRates returns once Prometheus has scraped agents for long enough that
// rates have values.
func (l lab) waitForRates(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		targets := l.instant(t, `up{job=~".*podnet.*"}`)
		if len(targets) == 0 {
			t.Skip("Prometheus scrapes no agent: the lab is up without them (--no-agents)")
		}
		if len(l.instant(t, `podnet_series and podnet_series offset 15s`)) > 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("none of %d agents has answered Prometheus for 15 s: see `lab status`", len(targets))
		case <-again.C:
		}
	}
}

// instant runs a query at this moment.
func (l lab) instant(t *testing.T, query string) []series {
	t.Helper()
	var data struct{ Result []series }
	if err := l.get(t, "/api/v1/query", url.Values{"query": {query}}, &data); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return data.Result
}

// series is one result of a query.
type series struct {
	Metric     map[string]string
	Value      []any
	Values     [][]any
	Histogram  []any
	Histograms [][]any
}

// number reports whether the series has a number; NaN is none.
func (s series) number() bool {
	if len(s.Histogram) > 0 || len(s.Histograms) > 0 {
		return true
	}
	for _, v := range append(s.Values, s.Value) {
		if len(v) == 2 && v[1] != "NaN" {
			return true
		}
	}
	return false
}

// get asks Prometheus's API, and decodes data.
func (l lab) get(t *testing.T, path string, query url.Values, data any) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", resp.Status, answer.Error)
	}
	return nil
}

// run runs the query over the last minute, or at this moment for panels that
// show one.
func (l lab) run(t *testing.T, e expr) ([]series, error) {
	now := time.Now()
	path, query := "/api/v1/query_range", url.Values{
		"query": {filled(e.Expr, labWindow)},
		"start": {now.Add(-time.Minute).Format(time.RFC3339)}, "end": {now.Format(time.RFC3339)}, "step": {"2s"},
	}
	if e.panel.instant() {
		path, query = "/api/v1/query", url.Values{"query": query["query"]}
	}
	var data struct{ Result []series }
	err := l.get(t, path, query, &data)
	return data.Result, err
}

// inKubernetes reports whether the agents are in Kubernetes. A test of a real
// cluster says with PODNET_LAB_KUBERNETES=1 that they are, and then every query
// has to have data, whatever Prometheus knows.
func (l lab) inKubernetes(t *testing.T) bool {
	t.Helper()
	return os.Getenv("PODNET_LAB_KUBERNETES") != "" || len(l.instant(t, kubernetesMetrics+"api_up")) > 0
}

func TestEveryQueryHasDataInTheLab(t *testing.T) {
	l := findLab(t)
	l.waitForRates(t)
	kubernetes := l.inKubernetes(t)
	for _, e := range exprs() {
		t.Run(e.place, func(t *testing.T) {
			if strings.Contains(e.Expr, kubernetesMetrics) && !kubernetes {
				t.Skip("needs agents in Kubernetes, as make e2e has them; these read a file")
			}
			result, err := l.run(t, e)
			if err != nil {
				t.Fatalf("%v\n%s", err, filled(e.Expr, labWindow))
			}
			if !e.OnlyDuringFault && !slices.ContainsFunc(result, series.number) {
				t.Errorf("no data in %d series: %s", len(result), filled(e.Expr, labWindow))
			}
			t.Logf("%d series", len(result))
			checkLabels(t, e, result)
		})
	}
	t.Run("variables", func(t *testing.T) { checkVariables(t, l) })
}

// checkLabels checks that the legend, or the table, has the labels that it
// needs, and that a table has no others.
func checkLabels(t *testing.T, e expr, result []series) {
	columns := map[string]bool{"Value": true}
	for _, c := range e.panel.Columns {
		columns[c.Field] = true
	}
	used := map[string]bool{}
	for _, s := range result {
		for label := range s.Metric {
			used[label] = true
			if e.panel.Kind == Table && !columns[label] {
				t.Errorf("the table has no column for label %s of %v", label, s.Metric)
				return
			}
		}
	}
	none := slices.ContainsFunc(result, func(s series) bool { return len(s.Metric) == 1 && anyIs(s.Metric, "none") })
	if len(result) == 0 || none {
		return
	}
	for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(e.Legend, -1) {
		if !used[m[1]] && m[1] != "namespace" && m[1] != "pod" && m[1] != "device" {
			t.Errorf("the legend %q uses label %s, which no series has", e.Legend, m[1])
		}
	}
}

func anyIs(labels map[string]string, value string) bool {
	for _, v := range labels {
		if v == value {
			return true
		}
	}
	return false
}

// checkVariables checks that the choices at the top of the boards are not
// empty.
func checkVariables(t *testing.T, l lab) {
	for _, b := range boards() {
		for _, v := range b.Variables {
			if v.Query == "" {
				continue
			}
			parts := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Query)
			if parts == nil {
				t.Errorf("%s: not label_values(metric, label): %s", v.Name, v.Query)
				continue
			}
			var values []string
			if err := l.get(t, "/api/v1/label/"+parts[2]+"/values", url.Values{"match[]": {parts[1]}}, &values); err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
			if len(values) == 0 {
				t.Errorf("%s has no values: %s", v.Name, v.Query)
			}
		}
	}
}
