package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

func TestFaultsAreComplete(t *testing.T) {
	l := &Lab{Plan: NewPlan(cniVXLAN)}
	seen := map[string]bool{}
	for _, f := range faults() {
		t.Run(f.ID, func(t *testing.T) {
			if seen[f.ID] {
				t.Error("the id is used twice")
			}
			seen[f.ID] = true
			if f.Title == "" || f.Inject == nil || f.Clear == nil {
				t.Error("has no title, or no way to be injected or cleared")
			}
			if _, err := l.nodeFor(f, ""); err != nil {
				t.Error(err)
			}
			switch f.Severity {
			case paging.SeverityPage:
				if f.Cause == "" || f.Symptom == "" {
					t.Error("pages without a cause or a symptom")
				}
			case "":
				if f.MustSee == "" {
					t.Error("nothing shows that it was there: it neither pages nor must be seen")
				}
			default:
				t.Errorf("severity %q", f.Severity)
			}
		})
	}
}

func TestUnknownFaultsAndNodesAreRefusedWithTheKnownOnes(t *testing.T) {
	if _, err := faultByID("no-such"); err == nil || !strings.Contains(err.Error(), "forward-drop, output-drop") {
		t.Errorf("faultByID() error = %v; want the list of faults", err)
	}
	l := &Lab{Plan: NewPlan(cniVXLAN)}
	if _, err := l.nodeFor(faults()[0], "n9"); err == nil || !strings.Contains(err.Error(), "n1, n2, n3, n4") {
		t.Errorf("nodeFor() error = %v; want the list of nodes", err)
	}
}

// Every page that a fault must cause can be caused by a rule that is shipped.
func TestEveryPageHasARule(t *testing.T) {
	files, err := filepath.Glob("../../alerts/*.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no rules in alerts/")
	}
	type labels struct{ Symptom, Cause, Severity string }
	var known []labels
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var rules struct {
			Groups []struct {
				Rules []struct {
					Alert  string
					Labels labels
				}
			}
		}
		if err := yaml.Unmarshal(b, &rules); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, g := range rules.Groups {
			for _, r := range g.Rules {
				known = append(known, r.Labels)
			}
		}
	}
	for _, f := range faults() {
		if f.Severity == paging.SeverityPage && !slices.Contains(known, labels{f.Symptom, f.Cause, f.Severity}) {
			t.Errorf("%s: no alert has symptom %q, cause %q and severity %q", f.ID, f.Symptom, f.Cause, f.Severity)
		}
	}
}
