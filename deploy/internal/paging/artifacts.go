package paging

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// gather returns what helps to see why a trial fails: files by their names. It
// is asked for while the fault is there, before anybody knows whether it
// passes. What cannot be had is replaced by the error.
func (r Runner) gather(ctx context.Context) map[string][]byte {
	query := func(expr string) string { return "/api/v1/query?query=" + url.QueryEscape(expr) }
	files := map[string][]byte{}
	for _, ask := range []struct {
		name string
		port int
		path string
	}{
		{"alerts.json", r.PrometheusPort, "/api/v1/alerts"},
		{"alertmanager.json", r.AlertmanagerPort, "/api/v2/alerts"},
		{"verdicts.json", r.PrometheusPort, query(`rate(podnet_peer_verdicts_total{verdict!="ok"}[` + r.Pace.Lately + `]) > 0`)},
		{"failures.json", r.PrometheusPort, query(`rate(podnet_probe_failure_reasons_total[` + r.Pace.Lately + `]) > 0`)},
		{"probe_drops.json", r.PrometheusPort, query(`rate(podnet_probe_drops_total[` + r.Pace.Lately + `]) > 0`)},
		{"rules.json", r.PrometheusPort, query(`{__name__=~"podnet:.+"}`)},
	} {
		b, err := r.read(ctx, ask.port, ask.path)
		if err != nil {
			b = []byte(err.Error() + "\n")
		}
		files[ask.name] = b
	}
	return files
}

// keep writes what was gathered of a trial into a folder of its own.
func (r Runner) keep(id string, files map[string][]byte) error {
	dir := filepath.Join(r.Artifacts, id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("artifacts: %w", err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return fmt.Errorf("artifacts: %w", err)
		}
	}
	return nil
}
