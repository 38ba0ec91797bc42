package main

import (
	"fmt"
	"io"
	"time"
)

// writeMtrCSV writes the report of -C. Its time is that of writing.
func writeMtrCSV(w io.Writer, run *mtrRun) { writeMtrCSVAt(w, run, time.Now()) }

func writeMtrCSVAt(w io.Writer, run *mtrRun, now time.Time) {
	fields := mtrFields(run.options.LossDecimals).chosen(run.options.Fields)
	for i, h := range run.rows() {
		asn := ""
		if run.options.IPInfo == 0 {
			asn = ",AS???"
		}
		if i == 0 {
			writeMtrCSVHead(w, fields, asn != "")
		}
		fmt.Fprintf(w, "MTR.%s,%d,OK,%s,%d,%s%s", mtrVersion, now.Unix(), run.host, h.TTL, run.label(h.Addr), asn)
		for _, f := range fields {
			if f.real {
				fmt.Fprintf(w, ",%.2f", float64(f.value(h))/1000)
			} else {
				fmt.Fprintf(w, ",%d", f.value(h))
			}
		}
		fmt.Fprintln(w)
	}
}

func writeMtrCSVHead(w io.Writer, fields []mtrField, asn bool) {
	fmt.Fprint(w, "Mtr_Version,Start_Time,Status,Host,Hop,Ip,")
	if asn {
		fmt.Fprint(w, "Asn,")
	}
	for _, f := range fields {
		fmt.Fprint(w, f.title, ",")
	}
	fmt.Fprintln(w)
}
