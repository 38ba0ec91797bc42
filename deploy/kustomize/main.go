// Kustomize writes base/ and components/prometheus-operator/ from the Helm
// chart, so that both ways of installation give the same objects:
//
//	go run ./deploy/kustomize        # needs bin/helm, which make generate builds
//
// What is Helm's own (its labels, the random key) is left out.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	chart     = "deploy/helm/podnet-exporter"
	base      = "deploy/kustomize/base"
	component = "deploy/kustomize/components/prometheus-operator"
	namespace = "podnet"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kustomize:", err)
		os.Exit(1)
	}
}

// run renders the chart and writes its objects, a file for each template.
func run() error {
	rendered, err := render()
	if err != nil {
		return err
	}
	folders := map[string]map[string]string{base: {}, component: {}}
	for name, text := range split(rendered) {
		switch name {
		case "prometheusrule.yaml":
			if text, err = plain(text); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			folders[component][name] = text
		case "podmonitor.yaml":
			folders[component][name] = text
		default:
			folders[base][name] = text
		}
	}
	for folder, files := range folders {
		if err := write(folder, files); err != nil {
			return err
		}
	}
	return nil
}

// render runs the chart with its defaults, but for a key that is made by hand.
func render() (string, error) {
	cmd := exec.Command("bin/helm", "template", "podnet", chart, "--namespace", namespace,
		"--set", "key.existingSecret=podnet-key",
		"--set", "podMonitor.enabled=true,prometheusRule.enabled=true,scrapeAnnotations.enabled=true")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("helm template: %w\n%s", err, complaints.Bytes())
	}
	return string(text), nil
}

// split returns the text of each template, by the template's name, without what
// only Helm understands.
func split(rendered string) map[string]string {
	files := make(map[string]string)
	helmsOwn := regexp.MustCompile(`(?m)^ *(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n`)
	for document := range strings.SplitSeq("\n"+rendered, "\n---\n") {
		source, text, found := strings.Cut(strings.TrimLeft(document, "\n"), "\n")
		name, ok := strings.CutPrefix(source, "# Source: ")
		if !found || !ok {
			continue
		}
		name = filepath.Base(name)
		text = strings.TrimRight(helmsOwn.ReplaceAllString(text, ""), "\n") + "\n"
		if files[name] != "" {
			text = files[name] + "---\n" + text
		}
		files[name] = text
	}
	return files
}

// plain writes YAML documents without folded text, which kustomize does not
// keep: it adds empty lines before those that are indented.
func plain(documents string) (string, error) {
	var out strings.Builder
	for decoder := yaml.NewDecoder(strings.NewReader(documents)); ; {
		var value any
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
		text, err := yaml.Marshal(value)
		if err != nil {
			return "", err
		}
		if out.Len() > 0 {
			out.WriteString("---\n")
		}
		out.Write(text)
	}
}

// write makes a folder hold the files, and a list of them that kustomize reads.
// Other files in it stay.
func write(folder string, files map[string]string) error {
	const head = "# Written from the Helm chart by `make generate`; do not edit.\n"
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var names []string
	for name, text := range files {
		names = append(names, name)
		if err := os.WriteFile(filepath.Join(folder, name), []byte(head+text), 0o644); err != nil {
			return err
		}
	}
	slices.Sort(names)
	return check(folder, names)
}

// check reports files that the folder's kustomization does not list, which is
// written by hand.
func check(folder string, names []string) error {
	path := filepath.Join(folder, "kustomization.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.Contains(string(text), "- "+name+"\n") {
			return fmt.Errorf("%s does not list %s", path, name)
		}
	}
	return nil
}
