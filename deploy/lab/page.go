package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// pageWidth is how many columns a page takes on a terminal.
const pageWidth = 100

// printPage writes an alert as the person on call reads it.
func printPage(w io.Writer, a paging.Alert) {
	line := strings.Repeat("-", pageWidth)
	fmt.Fprintln(w, line)
	fmt.Fprintf(w, "%s (%s, %s on %s)\n\n", strings.TrimSpace(a.Annotations["summary"]), a.Labels["severity"], a.Labels["cause"], a.Labels["node"])
	if text := strings.TrimSpace(a.Annotations["description"]); text != "" {
		fmt.Fprintf(w, "%s\n\n", wrap(text, pageWidth))
	}
	if text := strings.TrimSpace(a.Annotations["likely_causes"]); text != "" {
		fmt.Fprintf(w, "Most likely:\n")
		for _, item := range items(text) {
			fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(wrap(item, pageWidth-5), "\n", "\n     "))
		}
		fmt.Fprintln(w)
	}
	// Commands and addresses are to be copied: never broken.
	for _, part := range []struct{ title, name string }{
		{"Prove it: ", "next_command"},
		{"Runbook:  ", "runbook_url"},
	} {
		if text := strings.TrimSpace(a.Annotations[part.name]); text != "" {
			fmt.Fprintf(w, "%s%s\n", part.title, text)
		}
	}
	fmt.Fprintln(w, line)
}

// items splits a numbered list, whose lines YAML has folded into one.
func items(text string) []string {
	var all []string
	for n := 2; ; n++ {
		before, after, found := strings.Cut(text, fmt.Sprintf(" %d. ", n))
		all = append(all, before)
		if !found {
			return all
		}
		text = fmt.Sprintf("%d. %s", n, after)
	}
}

// wrap breaks each line of a text at blanks, so that none is longer than width
// columns unless a single word is.
func wrap(text string, width int) string {
	var out []string
	for _, paragraph := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if line != "" && len(line)+1+len(word) > width {
				out, line = append(out, line), ""
			}
			if line == "" {
				line = word
			} else {
				line += " " + word
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}
