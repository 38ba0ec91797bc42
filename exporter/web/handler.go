// Package web serves the agent's pages: metrics, status, health and reload.
package web

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	toolkitweb "github.com/prometheus/exporter-toolkit/web"
)

// Options is what the pages are made of.
type Options struct {
	Agent    Agent
	Gatherer prometheus.Gatherer // of /metrics
	Log      *slog.Logger
	Version  string // shown on the landing page
}

//go:embed status.html
var statusHTML string

// Handler returns the handler of every page:
//
//	GET  /               where everything is
//	GET  /metrics        for Prometheus
//	GET  /status         what this agent sees, for people
//	GET  /api/v1/status  the same as JSON
//	GET  /-/healthy      200 as long as the program answers at all
//	GET  /-/ready        200 when the agent probes, 503 with the reason until then
//	POST /-/reload       reads the configuration again; 500 with what is wrong
func Handler(opts Options) (http.Handler, error) {
	landing, err := toolkitweb.NewLandingPage(toolkitweb.LandingConfig{
		Name:        "podnet_exporter",
		Description: "Finds out why pods cannot reach each other",
		Version:     opts.Version,
		Profiling:   "false",
		Links: []toolkitweb.LandingLinks{
			{Address: "metrics", Text: "Metrics"},
			{Address: "status", Text: "Status", Description: "what this agent sees now"},
			{Address: "api/v1/status", Text: "Status as JSON"},
			{Address: "-/healthy", Text: "Health"},
			{Address: "-/ready", Text: "Readiness"},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("web: landing page: %w", err)
	}
	page, err := template.New("status").Funcs(template.FuncMap{"ago": ago}).Parse(statusHTML)
	if err != nil {
		return nil, fmt.Errorf("web: status page: %w", err)
	}
	h := pages{Options: opts, status: page}

	mux := http.NewServeMux()
	mux.Handle("GET /{$}", landing)
	mux.Handle("GET /metrics", compressed(promhttp.HandlerFor(opts.Gatherer, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(opts.Log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError, // one broken collector must not hide the others
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 10,
		DisableCompression:  true, // done here
	})))
	mux.HandleFunc("GET /status", h.statusPage)
	mux.HandleFunc("GET /api/v1/status", h.statusJSON)
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("GET /-/ready", h.ready)
	mux.HandleFunc("POST /-/reload", h.reload)
	return mux, nil
}

// pages holds what more than one page needs.
type pages struct {
	Options
	status *template.Template
}

func (h *pages) ready(w http.ResponseWriter, _ *http.Request) {
	if err := h.Agent.Ready(); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (h *pages) reload(w http.ResponseWriter, _ *http.Request) {
	if err := h.Agent.Reload(); err != nil {
		h.Log.Error("configuration was not reloaded, the old one stays", "err", err)
		http.Error(w, "not reloaded, the old configuration stays\n"+err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "reloaded")
}

func (h *pages) statusJSON(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(h.Agent.Status()) // the client went away
}

func (h *pages) statusPage(w http.ResponseWriter, _ *http.Request) {
	var page bytes.Buffer
	err := h.status.Execute(&page, struct {
		Status
		NotReady error
		Now      time.Time
	}{h.Agent.Status(), h.Agent.Ready(), time.Now()})
	if err != nil {
		h.Log.Error("status page", "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = page.WriteTo(w) // the client went away
}

// ago says how long before now a time was, to the second. The zero time was
// never.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return now.Sub(t).Round(time.Second).String()
}
