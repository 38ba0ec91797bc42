// Command dashboards writes the Grafana dashboards of podnet_exporter as JSON,
// ready to be provisioned or imported. `go run ./dashboards` at the top of the
// repository renews the committed files.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"
)

func main() {
	app := kingpin.New("dashboards", "Writes the Grafana dashboards of podnet_exporter.")
	folder := app.Flag("folder", "Where to write; the repository's own dashboards by default.").Default("dashboards").String()
	kingpin.MustParse(app.Parse(os.Args[1:]))
	app.FatalIfError(write(*folder), "")
}

// boards is the list of dashboards: adding one is one line here.
func boards() []Board {
	return []Board{meshBoard(), pathBoard(), kubernetesBoard()}
}

// write writes every dashboard to a file of its own, named after its UID.
func write(folder string) error {
	for _, b := range boards() {
		text, err := b.encode()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, b.file()), text, 0o644); err != nil {
			return fmt.Errorf("dashboard %s: %w", b.UID, err)
		}
	}
	return nil
}

// file returns the name of the dashboard's file.
func (b Board) file() string { return b.UID + ".json" }

// encode returns the dashboard as Grafana imports it. Equal boards give equal
// bytes.
func (b Board) encode() ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // queries are full of > and <
	e.SetIndent("", "  ")
	d, err := b.dashboard()
	if err != nil {
		return nil, fmt.Errorf("dashboard %s: %w", b.UID, err)
	}
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("dashboard %s: %w", b.UID, err)
	}
	return text.Bytes(), nil
}
