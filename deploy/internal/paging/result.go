package paging

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// Result is the outcome of one row, as `lab test --output=json` prints it.
type Result struct {
	ID       string      `json:"id"`
	Expected Expectation `json:"expected"`
	Fired    []fired     `json:"fired"`
	Seconds  *float64    `json:"seconds"` // from injection to the expected page; null if it did not come
	Pass     bool        `json:"pass"`
	Reason   string      `json:"reason"` // "" when passed
}

// fired is an alert of any severity that was active during a row.
type fired struct {
	Labels  map[string]string `json:"labels"`
	Seconds float64           `json:"seconds"` // from injection to when it was first seen
}

// newResult judges what was seen of a row.
func newResult(id string, want Expectation, seen observation) Result {
	r := Result{ID: id, Expected: want, Fired: []fired{}}
	r.Pass, r.Reason = judge(want, seen)
	for _, f := range seen.Fired {
		r.Fired = append(r.Fired, fired{f.Labels, seconds(f.Began)})
	}
	if at, ok := secondsTo(want, seen); ok {
		s := seconds(at)
		r.Seconds = &s
	}
	return r
}

// seconds returns d in seconds, to a tenth: alerts are looked for five times a
// second.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*10) / 10 }

// WriteJSON prints results as an array.
func WriteJSON(w io.Writer, rs []Result) error {
	if rs == nil {
		rs = []Result{}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(rs)
}

// WriteTable prints results for people, and in the last line how many passed.
func WriteTable(out io.Writer, rs []Result) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tEXPECTED\tFIRED\tSECONDS\tRESULT")
	passed := 0
	for _, r := range rs {
		verdict := "pass"
		if r.Pass {
			passed++
		} else {
			verdict = "FAIL: " + r.Reason
		}
		alerts := firedTexts(r.Fired)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.ID, r.Expected, alerts[0], secondsText(r.Seconds), verdict)
		for _, text := range alerts[1:] {
			fmt.Fprintf(w, "\t\t%s\t\t\n", text)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d passed, %d failed\n", passed, len(rs)-passed)
	return err
}

// String returns what is expected, as the table has it.
func (e Expectation) String() string {
	if e.Severity != SeverityPage {
		return "no page"
	}
	return e.Cause + "·" + e.Node
}

// firedTexts returns what fired in few words, pages first. The same alert for
// several nodes is one text.
func firedTexts(all []fired) []string {
	type what struct{ severity, alert, cause string }
	nodes := map[what][]string{}
	var order []what
	for _, f := range all {
		w := what{f.Labels["severity"], f.Labels["alertname"], f.Labels["cause"]}
		if nodes[w] == nil {
			order = append(order, w)
		}
		if node := f.Labels["node"]; !slices.Contains(nodes[w], node) {
			nodes[w] = append(nodes[w], node)
		}
	}
	if len(order) == 0 {
		return []string{"nothing"}
	}
	slices.SortStableFunc(order, func(a, b what) int { return cmp.Compare(rank(a.severity), rank(b.severity)) })
	var texts []string
	for _, w := range order {
		texts = append(texts, fmt.Sprintf("%s: %s %s·%s", w.severity, w.alert, w.cause, strings.Join(nodes[w], ",")))
	}
	return texts
}

// rank sorts pages before everything else.
func rank(severity string) int {
	if severity == SeverityPage {
		return 0
	}
	return 1
}

func secondsText(s *float64) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *s)
}

// IsTerminal reports whether a person looks at the file.
func IsTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
