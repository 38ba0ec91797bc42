package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// The colours of paping's lines, as in the escape sequence ESC [ 01 ; N m.
const (
	papingRed    = 31 // a failure
	papingGreen  = 32 // a success
	papingYellow = 33 // what is connected to
	papingBlue   = 34 // the statistics
)

// papingPrinter writes paping's lines. Each is one write, so that it is seen
// at once through a pipe too.
type papingPrinter struct {
	w         io.Writer
	colorless bool
}

// line writes a line of which every second part, between dollar signs, has the
// given colour.
func (p papingPrinter) line(color int, marked string) {
	if p.colorless {
		color = 0
	}
	fmt.Fprint(p.w, papingColor(color, marked)+"\n")
}

// papingColor puts escape sequences where the dollar signs are, or nothing if
// color is 0. As paping does it, every part in colour is followed by a reset,
// the end of the text by an empty part in colour, and all by one more reset.
func papingColor(color int, marked string) string {
	parts := strings.Split(marked, "$")
	if color == 0 {
		return strings.Join(parts, "")
	}
	const reset = "\x1b[22;0m"
	var b strings.Builder
	for i := 0; i < len(parts); i += 2 {
		colored := ""
		if i+1 < len(parts) {
			colored = parts[i+1]
		}
		fmt.Fprintf(&b, "%s\x1b[01;%dm%s%s", parts[i], color, colored, reset)
	}
	return b.String() + reset
}

// papingStats is what paping prints at its end.
type papingStats struct {
	strict                       bool
	attempted, connected, failed int
	minimum, maximum, total      time.Duration
}

// success counts an attempt that connected.
func (s *papingStats) success(took time.Duration) {
	s.attempted++
	s.connected++
	s.total += took
	first := s.connected == 1
	if s.strict {
		first = s.attempted == 1 // so that a failure at first keeps the minimum at 0
	}
	if first {
		s.minimum, s.maximum = took, took
	}
	s.minimum, s.maximum = min(s.minimum, took), max(s.maximum, took)
}

// failure counts an attempt that did not.
func (s *papingStats) failure() {
	s.attempted++
	s.failed++
}

// text is the statistics with their marks. Before the first attempt has ended,
// paping divides by 0 and says what C makes of that.
func (s *papingStats) text() string {
	percent, average := "0.00%", "0.00ms"
	divisor := s.connected
	if s.strict {
		divisor = s.attempted
	}
	if s.attempted > 0 {
		percent = fmt.Sprintf("%.2f%%", 100*float64(s.failed)/float64(s.attempted))
	} else if s.strict {
		percent, average = "-nan%", "-nanms"
	}
	if divisor > 0 {
		average = fmt.Sprintf("%.2fms", milliseconds(s.total)/float64(divisor))
	}
	return fmt.Sprintf("\nConnection statistics:\n"+
		"\tAttempted = $%d$, Connected = $%d$, Failed = $%d$ ($%s$)\n"+
		"Approximate connection times:\n"+
		"\tMinimum = $%.2fms$, Maximum = $%.2fms$, Average = $%s$\n",
		s.attempted, s.connected, s.failed, percent,
		milliseconds(s.minimum), milliseconds(s.maximum), average)
}

// exitStatus is paping's exit code for what happened so far.
func (s *papingStats) exitStatus() exitStatus {
	if s.failed > 0 {
		return papingExitFailed
	}
	return papingExitOK
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
