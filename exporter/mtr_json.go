package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// writeMtrJSON writes the report of -j as the library does that mtr uses,
// jansson: indented by 4, keys in order, numbers with 5 digits.
func writeMtrJSON(w io.Writer, run *mtrRun) {
	o := run.options
	fmt.Fprint(w, "{\n    \"report\": {\n        \"mtr\": {\n")
	for i, pair := range [][2]string{
		{"src", jsonText(run.source)}, {"dst", jsonText(run.host)}, {"tos", strconv.Itoa(o.TOS)},
		{"tests", strconv.Itoa(o.Cycles)}, {"psize", jsonText(o.sizeText())}, {"bitpattern", jsonText(o.patternText())},
	} {
		fmt.Fprintf(w, "%s            \"%s\": %s", separator(i), pair[0], pair[1])
	}
	fmt.Fprint(w, "\n        },\n        \"hubs\": [")
	fields := mtrFields(o.LossDecimals).chosen(o.Fields)
	rows := run.rows()
	for i, h := range rows {
		fmt.Fprintf(w, "%s\n            {\n", strings.TrimSuffix(separator(i), "\n"))
		writeMtrJSONHub(w, run, h, fields)
		fmt.Fprint(w, "\n            }")
	}
	if len(rows) > 0 {
		fmt.Fprint(w, "\n        ")
	}
	fmt.Fprint(w, "]\n    }\n}\n")
}

func writeMtrJSONHub(w io.Writer, run *mtrRun, h probers.HopReport, fields []mtrField) {
	const indent = "                "
	fmt.Fprintf(w, "%s\"count\": %d,\n%s\"host\": %s", indent, h.TTL, indent, jsonText(run.label(h.Addr)))
	if run.options.IPInfo == 0 {
		fmt.Fprintf(w, ",\n%s\"ASN\": \"AS???\"", indent)
	}
	written := make(map[byte]bool) // a key must not come twice
	for _, f := range fields {
		if f.key == ' ' || written[f.key] {
			continue
		}
		written[f.key] = true
		value := strconv.FormatInt(f.value(h), 10)
		if f.real {
			value = jsonReal(float64(f.value(h)) / 1000)
		}
		fmt.Fprintf(w, ",\n%s\"%s\": %s", indent, f.title, value)
	}
}

// separator is what stands before the i-th element of a list.
func separator(i int) string {
	if i == 0 {
		return ""
	}
	return ",\n"
}

// jsonReal writes a number with 5 significant digits, and such that it is seen
// to be one with a fraction: 0.0, 33.333, 12346.0, 1.2346e5.
func jsonReal(x float64) string {
	s := strconv.FormatFloat(x, 'g', 5, 64)
	mantissa, exponent, scientific := strings.Cut(s, "e")
	if n, err := strconv.Atoi(exponent); scientific && err == nil {
		return mantissa + "e" + strconv.Itoa(n)
	}
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func jsonText(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // no string fails
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// sizeText is the size of the packets as JSON and XML have it.
func (o mtrOptions) sizeText() string {
	if o.Size < 0 {
		return fmt.Sprintf("rand(%d-%d)", mtrMinSize, -o.Size)
	}
	return strconv.Itoa(o.Size)
}

// patternText is the content of the packets as JSON and XML have it.
func (o mtrOptions) patternText() string {
	if o.Pattern < 0 {
		return "rand(0x00-FF)"
	}
	return fmt.Sprintf("0x%02X", o.Pattern)
}
