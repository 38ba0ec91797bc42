package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// writeMtrXML writes the report of -x.
func writeMtrXML(w io.Writer, run *mtrRun) {
	o := run.options
	fmt.Fprintf(w, "<?xml version=\"1.0\"?>\n<MTR SRC=\"%s\" DST=\"%s\" TOS=\"0x%X\" PSIZE=\"%s\" BITPATTERN=\"%s\" TESTS=\"%d\">\n",
		xmlText(run.source), xmlText(run.host), o.TOS, o.sizeText(), o.patternText(), o.Cycles)
	for _, h := range run.rows() {
		fmt.Fprintf(w, "    <HUB COUNT=\"%d\" HOST=\"%s\">\n", h.TTL, xmlText(run.label(h.Addr)))
		for _, f := range mtrFields(o.LossDecimals).chosen(o.Fields) {
			if f.key == ' ' {
				continue
			}
			tag := strings.TrimSuffix(f.title, "%")
			fmt.Fprintf(w, "        <%s>%s</%s>\n", tag, f.text(h), tag)
		}
		fmt.Fprint(w, "    </HUB>\n")
	}
	fmt.Fprint(w, "</MTR>\n")
}

func xmlText(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return "" // a Builder does not fail
	}
	return b.String()
}
