// Package sources finds the sources of podnet_exporter, which the programs
// below deploy/ build and read.
package sources

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// At returns the folder of the sources that a person named, or the nearest one.
func At(named string) (string, error) {
	if named == "" {
		return Find()
	}
	return filepath.Abs(named)
}

// Find returns the nearest folder, from the working directory upwards, that
// holds this module.
func Find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find sources: %w", err)
	}
	for start := dir; ; dir = filepath.Dir(dir) {
		b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(b), "module github.com/podnet-exporter/podnet_exporter\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no podnet_exporter sources at or above %s: run it inside the checkout, or give --repo", start)
		}
	}
}
