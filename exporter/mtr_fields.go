package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// mtrField is a column that -o can ask for.
type mtrField struct {
	key    byte
	title  string
	width  int
	format string                        // of text and XML; "" is the space, which shows nothing
	real   bool                          // a number with a fraction: milliseconds, or per cent
	value  func(probers.HopReport) int64 // in thousandths if real
}

// mtrFieldTable is all columns, in the order of mtr's manual.
type mtrFieldTable []mtrField

// mtrFields returns the columns. Loss has so many decimals: one up to mtr
// 0.96, two after it.
func mtrFields(lossDecimals int) mtrFieldTable {
	loss := mtrField{'L', "Loss%", 6, " %4.1f%%", true, mtrLoss}
	if lossDecimals == 2 {
		loss.width, loss.format = 8, " %6.2f%%"
	}
	const time, short = " %5.1f", " %4.1f"
	return mtrFieldTable{
		{' ', " ", 1, "", false, mtrDrop},
		loss,
		{'D', "Drop", 5, " %4d", false, mtrDrop},
		{'R', "Rcv", 6, " %5d", false, func(h probers.HopReport) int64 { return int64(h.Received) }},
		{'S', "Snt", 6, " %5d", false, func(h probers.HopReport) int64 { return int64(mtrSent(h)) }},
		{'N', "Last", 6, time, true, func(h probers.HopReport) int64 { return h.Last.Microseconds() }},
		{'B', "Best", 6, time, true, func(h probers.HopReport) int64 { return h.Best.Microseconds() }},
		{'A', "Avg", 6, time, true, func(h probers.HopReport) int64 { return h.Mean.Microseconds() }},
		{'W', "Wrst", 6, time, true, func(h probers.HopReport) int64 { return h.Worst.Microseconds() }},
		{'V', "StDev", 6, time, true, func(h probers.HopReport) int64 { return h.StdDev.Microseconds() }},
		{'G', "Gmean", 6, time, true, func(h probers.HopReport) int64 { return h.GeometricMean.Microseconds() }},
		{'J', "Jttr", 5, short, true, func(h probers.HopReport) int64 { return h.Jitter.Microseconds() }},
		{'M', "Javg", 5, short, true, func(h probers.HopReport) int64 { return h.JitterMean.Microseconds() }},
		{'X', "Jmax", 5, short, true, func(h probers.HopReport) int64 { return h.JitterWorst.Microseconds() }},
		{'I', "Jint", 5, short, true, func(h probers.HopReport) int64 { return h.JitterRFC.Microseconds() }},
	}
}

// mtrSent is how many probes count. Those that could not even be sent do: to
// a reader of the table they are lost.
func mtrSent(h probers.HopReport) uint64 { return h.Tried() + h.InFlight + h.Unsent }

func mtrDrop(h probers.HopReport) int64 { return int64(h.Lost + h.Unsent) }

// mtrLoss is per cent, in thousandths, of the probes that are not in flight.
func mtrLoss(h probers.HopReport) int64 {
	tried := h.Tried() + h.Unsent
	if tried == 0 {
		return 0
	}
	return 100_000 * mtrDrop(h) / int64(tried)
}

func (t mtrFieldTable) find(key byte) (mtrField, bool) {
	i := slices.IndexFunc(t, func(f mtrField) bool { return f.key == key })
	if i < 0 {
		return mtrField{}, false
	}
	return t[i], true
}

// chosen returns the columns of an order.
func (t mtrFieldTable) chosen(order string) []mtrField {
	var fields []mtrField
	for i := range len(order) {
		if f, ok := t.find(order[i]); ok {
			fields = append(fields, f)
		}
	}
	return fields
}

// text is the field of a hop as text and XML have it.
func (f mtrField) text(h probers.HopReport) string {
	switch {
	case f.format == "":
		return " "
	case f.real:
		return fmt.Sprintf(f.format, float64(f.value(h))/1000)
	}
	return fmt.Sprintf(f.format, f.value(h))
}

// columns appends a line's columns from offset on. Each begins where the width
// of the one before it ends, and overwrites what stood there: names that are
// too long are cut, and so is the last character of " 100.0%".
func columns(line string, offset int, fields []mtrField, text func(mtrField) string) string {
	for _, f := range fields {
		line = line[:min(offset, len(line))] + text(f)
		offset += f.width
	}
	return line
}

// isoTime is a moment as mtr prints it.
func isoTime(t time.Time) string { return t.Format("2006-01-02T15:04:05-0700") }

// title is a column's head, right-aligned as it is there.
func (f mtrField) head() string { return strings.Repeat(" ", max(0, f.width-len(f.title))) + f.title }
