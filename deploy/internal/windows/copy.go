package windows

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
)

// Copy writes the rules and Alertmanager's configuration of a folder, changed to
// the lab's windows: the rules into a folder, under their own names.
func Copy(alerts, rules, alertmanager string) error {
	files, err := filepath.Glob(filepath.Join(alerts, "*.rules.yaml"))
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	for _, file := range files {
		if err := copyFile(file, filepath.Join(rules, filepath.Base(file)), Rules); err != nil {
			return err
		}
	}
	return copyFile(filepath.Join(alerts, "alertmanager.yaml"), alertmanager, Alertmanager)
}

func copyFile(from, to string, change func(name string, text []byte) ([]byte, error)) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if text, err = change(filepath.Base(from), text); err != nil {
		return err
	}
	return statefile.Write(to, text)
}
