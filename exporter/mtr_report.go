package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// mtrNameWidth is the width of the column of names in a report that is not
// wide. The columns begin at it too, as if nothing stood before the name: so
// only some of it is seen.
const mtrNameWidth = 33

// mtrIPInfoWidths are the widths of the facts about an address that -y asks
// for: origin AS, prefix, country, registry, date.
var mtrIPInfoWidths = [5]int{7, 19, 4, 8, 11}

// ipInfo is the fact about an address that -y or -z asks for. It would come
// from a service in the Internet, which nothing here asks: it is not known.
func (o mtrOptions) ipInfoText() string {
	prefix := ""
	if o.IPInfo == 0 {
		prefix = "AS"
	}
	return fmt.Sprintf("%s%-*s", prefix, mtrIPInfoWidths[o.IPInfo], "???")
}

// writeMtrReport writes the table of -r and -w.
func writeMtrReport(w io.Writer, run *mtrRun) {
	o := run.options
	fields := mtrFields(o.LossDecimals).chosen(o.Fields)
	names := mtrNameWidth
	if o.Wide {
		names = len(run.source)
		for _, h := range run.rows() {
			names = max(names, len(run.label(h.Addr)))
		}
	}
	heading := names
	if o.IPInfo >= 0 && o.Wide {
		names++
		heading += len(o.ipInfoText())
	}
	offset := func(line string) int {
		if o.Wide {
			return len(line)
		}
		return names
	}
	line := fmt.Sprintf("HOST: %-*s", heading, run.source)
	fmt.Fprintln(w, columns(line, offset(line), fields, mtrField.head))
	for _, h := range run.rows() {
		line := fmt.Sprintf(" %2d.|-- %-*s", h.TTL, names, run.label(h.Addr))
		if o.IPInfo >= 0 {
			line = fmt.Sprintf(" %2d. %s%-*s", h.TTL, o.ipInfoText(), names, run.label(h.Addr))
		}
		fmt.Fprintln(w, columns(line, offset(line), fields, func(f mtrField) string { return f.text(h) }))
		writeLines(w, o.reportedLabels(latest(h)))
		for _, a := range others(h) {
			fmt.Fprintf(w, "        %-*s\n", names, run.label(a.Addr))
			if o.IPInfo >= 0 {
				fmt.Fprintf(w, "     %s%s\n", o.ipInfoText(), run.label(a.Addr))
			}
			writeLines(w, o.reportedLabels(a))
		}
	}
}

// reportedLabels returns the label stack of an answer as -e shows it in a report.
// mtr shows it only beside the facts of -z and -y, and the bottom of the stack
// as the character of that number with a u behind it.
func (o mtrOptions) reportedLabels(a probers.HopAddr) []string {
	switch {
	case o.Strict && o.IPInfo < 0:
		return nil
	case o.Strict:
		return o.labels("       [MPLS: Lbl %d TC %d S %cu TTL %d]", a)
	}
	return o.labels("       [MPLS: Lbl %d TC %d S %d TTL %d]", a)
}

// labels returns the label stack of an answer, a line for each, if -e asks for
// it.
func (o mtrOptions) labels(format string, a probers.HopAddr) []string {
	if !o.MPLS {
		return nil
	}
	var lines []string
	for _, l := range a.MPLS {
		lines = append(lines, fmt.Sprintf(format, l.Label, l.Class, bit(l.Bottom), l.TTL))
	}
	return lines
}

func bit(is bool) int {
	if is {
		return 1
	}
	return 0
}

func writeLines(w io.Writer, lines []string) {
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}

// latest returns who answered at a hop last.
func latest(h probers.HopReport) probers.HopAddr {
	for _, a := range h.Addrs {
		if a.Addr == h.Addr {
			return a
		}
	}
	return probers.HopAddr{}
}

// others returns who else answered at a hop than the one who did so last.
func others(h probers.HopReport) []probers.HopAddr {
	return slices.DeleteFunc(slices.Clone(h.Addrs), func(a probers.HopAddr) bool { return a.Addr == h.Addr })
}
