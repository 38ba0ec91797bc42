package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
)

// TestMissingKeyIsNamed is what a Secret that is not there looks like: the
// volume is empty.
func TestMissingKeyIsNamed(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "empty"), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "key"), []byte("random"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, file string
		loaded     float64
		says       string // "" if nothing is to be said
	}{
		{"the key is there", "key", 1, ""},
		{"the file is not there", "missing", 0, "no such file or directory"},
		{"the file is empty", "empty", 0, "empty is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log := &safeBuffer{}
			cfg := config.Default()
			cfg.Node, cfg.Responder.KeyFile = "n1", filepath.Join(folder, tt.file)
			reg := prometheus.NewRegistry()
			newAgent(cfg, "", reg, slog.New(slog.NewTextHandler(log, nil)))

			if got := value(t, reg, "podnet_prober_key_loaded", nil); got != tt.loaded {
				t.Errorf("podnet_prober_key_loaded = %v; want %v", got, tt.loaded)
			}
			if text := log.String(); !strings.Contains(text, tt.says) || (text == "") != (tt.says == "") {
				t.Errorf("log = %q; want %q in it", text, tt.says)
			}
		})
	}
}
