package main

import (
	"fmt"
	"io"
	"strings"
)

// pageWidth is how many columns a page takes on a terminal.
const pageWidth = 100

// printPage writes an alert as the person on call reads it.
func printPage(w io.Writer, a Alert) {
	line := strings.Repeat("-", pageWidth)
	fmt.Fprintln(w, line)
	fmt.Fprintf(w, "%s (%s, %s on %s)\n\n", strings.TrimSpace(a.Annotations["summary"]), a.Labels["severity"], a.Labels["cause"], a.Labels["node"])
	for _, part := range []struct{ title, name string }{
		{"", "description"},
		{"Most likely: ", "likely_causes"},
	} {
		if text := strings.TrimSpace(a.Annotations[part.name]); text != "" {
			fmt.Fprintf(w, "%s\n\n", wrap(part.title+items(text), pageWidth))
		}
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

// items puts the second and every further item of a numbered list on a line of
// its own: YAML has folded them into one.
func items(text string) string {
	for n := 2; ; n++ {
		begin := fmt.Sprintf(" %d. ", n)
		if !strings.Contains(text, begin) {
			return text
		}
		text = strings.Replace(text, begin, "\n"+strings.Repeat(" ", len("Most likely: "))+begin[1:], 1)
	}
}

// wrap breaks each line of a text at blanks, so that none is longer than width
// columns unless a single word is. A line's indent is that of its parts.
func wrap(text string, width int) string {
	var out []string
	for _, paragraph := range strings.Split(text, "\n") {
		indent := paragraph[:len(paragraph)-len(strings.TrimLeft(paragraph, " "))]
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if line != "" && len(line)+1+len(word) > width {
				out, line = append(out, line), ""
			}
			if line == "" {
				line = indent + word
			} else {
				line += " " + word
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}
