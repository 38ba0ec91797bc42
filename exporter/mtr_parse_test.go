package main

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// mtrRow is a line of a report, as a script reads it. Times are milliseconds.
type mtrRow struct {
	Hop                          int
	Host                         string
	Loss                         float64
	Sent                         int
	Last, Mean, Best, Worst, Dev float64
}

// parseMtrOutput reads a report with the default columns, in the format that
// an option asks for.
func parseMtrOutput(option, out string) ([]mtrRow, error) {
	switch option {
	case "-j":
		return parseMtrJSON(out)
	case "-C":
		return parseMtrCSV(out)
	case "-x":
		return parseMtrXML(out)
	}
	return parseMtrText(out)
}

func rowOf(hop, host string, numbers []string) (mtrRow, error) {
	r := mtrRow{Host: host}
	var err error
	if r.Hop, err = strconv.Atoi(hop); err != nil {
		return r, err
	}
	if len(numbers) != 7 {
		return r, fmt.Errorf("%d columns", len(numbers))
	}
	sent := 0.0
	for i, to := range []*float64{&r.Loss, &sent, &r.Last, &r.Mean, &r.Best, &r.Worst, &r.Dev} {
		if *to, err = strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(numbers[i]), "%"), 64); err != nil {
			return r, err
		}
	}
	r.Sent = int(sent)
	return r, nil
}

func parseMtrText(out string) (rows []mtrRow, err error) {
	for line := range strings.Lines(out) {
		hop, rest, found := strings.Cut(line, ".|-- ")
		if !found {
			continue
		}
		words := strings.Fields(rest)
		r, err := rowOf(strings.TrimSpace(hop), words[0], words[1:])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func parseMtrJSON(out string) (rows []mtrRow, err error) {
	var doc struct {
		Report struct {
			Hubs []struct {
				Count                        int
				Host                         string
				Loss                         float64 `json:"Loss%"`
				Snt                          int
				Last, Avg, Best, Wrst, StDev float64
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		return nil, err
	}
	for _, h := range doc.Report.Hubs {
		rows = append(rows, mtrRow{h.Count, h.Host, h.Loss, h.Snt, h.Last, h.Avg, h.Best, h.Wrst, h.StDev})
	}
	return rows, nil
}

func parseMtrCSV(out string) (rows []mtrRow, err error) {
	reader := csv.NewReader(strings.NewReader(out))
	reader.FieldsPerRecord = -1 // the heading ends in a comma
	records, err := reader.ReadAll()
	if err != nil {
		return nil, err
	}
	for _, f := range records[1:] {
		r, err := rowOf(f[4], f[5], append(f[6:8:8], f[9:]...))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", f, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func parseMtrXML(out string) (rows []mtrRow, err error) {
	var doc struct {
		Hubs []struct {
			Count                                   string `xml:"COUNT,attr"`
			Host                                    string `xml:"HOST,attr"`
			Loss, Snt, Last, Avg, Best, Wrst, StDev string
		} `xml:"HUB"`
	}
	if err := xml.Unmarshal([]byte(out), &doc); err != nil {
		return nil, err
	}
	for _, h := range doc.Hubs {
		r, err := rowOf(h.Count, h.Host, []string{h.Loss, h.Snt, h.Last, h.Avg, h.Best, h.Wrst, h.StDev})
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// TestOneReportInAllFormats reads what the real mtr printed for one scenario.
func TestOneReportInAllFormats(t *testing.T) {
	parsed := make(map[string][]mtrRow)
	for option, file := range map[string]string{"-r": "report", "-j": "json", "-C": "csv", "-x": "xml"} {
		b, err := os.ReadFile(filepath.Join("testdata/mtr", file+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := parseMtrOutput(option, string(b))
		if err != nil || len(rows) != 5 {
			t.Fatalf("%s: %d rows, %v", file, len(rows), err)
		}
		parsed[option] = rows
	}
	for option, rows := range parsed {
		for i, r := range rows {
			j := parsed["-j"][i]
			// The text has whole milliseconds where there is no room for more.
			if r.Hop != j.Hop || r.Host != j.Host || r.Sent != j.Sent || math.Abs(r.Loss-j.Loss) > 0.05 || math.Abs(r.Mean-j.Mean) > 0.06 || math.Abs(r.Worst-j.Worst) > 1 {
				t.Errorf("%s: %+v; JSON has %+v", option, r, j)
			}
		}
	}
}
