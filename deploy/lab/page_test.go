package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

func TestWrap(t *testing.T) {
	tests := []struct {
		name, text, want string
		width            int
	}{
		{"a short line stays", "a b", "a b", 10},
		{"a long line breaks at the last blank that fits", "aaa bbb ccc", "aaa bbb\nccc", 7},
		{"a word longer than the line gets a line of its own", "a bbbbbbbb c", "a\nbbbbbbbb\nc", 4},
		{"lines that the text has stay", "a\nb", "a\nb", 10},
		{"an empty text is one empty line", "", "", 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, wrap(tt.text, tt.width)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPrintPage(t *testing.T) {
	var out strings.Builder
	printPage(&out, paging.Alert{
		Labels: map[string]string{"severity": "page", "cause": "firewall_drop", "node": "n2"},
		Annotations: map[string]string{
			"summary":       "Pods on n2 cannot be reached",
			"description":   "Packets die on n2.",
			"likely_causes": "1. A rule of the FORWARD hook. 2. A policy.",
			"next_command":  "nft list ruleset",
			"runbook_url":   "https://example.org/runbook",
		},
	})
	line := strings.Repeat("-", pageWidth)
	want := line + `
Pods on n2 cannot be reached (page, firewall_drop on n2)

Packets die on n2.

Most likely:
  1. A rule of the FORWARD hook.
  2. A policy.

Prove it: nft list ruleset
Runbook:  https://example.org/runbook
` + line + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
