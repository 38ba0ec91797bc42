package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// mtrScenario is how a path answers, hop by hop: the i-th answer of a hop is
// to its i-th probe, and null is none. Hops beyond the last answer like it.
type mtrScenario struct {
	Target string
	Cycles int
	Hops   []struct {
		Answers []*mtrAnswer
	}
}

// mtrAnswer is [address, microseconds, what], where what is a word of
// mtr-packet: reply, ttl-expired or no-route; and optionally a stack of MPLS
// labels, as mtr-packet writes it: label, class, bottom and TTL of each.
type mtrAnswer struct {
	addr         string
	microseconds int
	what         string
	mpls         string
}

func (a *mtrAnswer) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&a.addr, &a.microseconds, &a.what, &a.mpls})
}

// answer returns the n-th answer, from 0, at a TTL; nil if there is none.
func (s *mtrScenario) answer(ttl, n int) *mtrAnswer {
	answers := s.Hops[min(ttl, len(s.Hops))-1].Answers
	if n >= len(answers) {
		return nil
	}
	return answers[n]
}

func readMtrScenario(t testing.TB, name string) *mtrScenario {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/mtr", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var s mtrScenario
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return &s
}

// mtrGolden is a file with what mtr 0.95 itself printed for a scenario.
type mtrGolden struct {
	file     string
	scenario string
	args     string
	strict   bool // only --strict-compat does the same
}

// arguments returns the arguments, where "_" stands for a space.
func (g mtrGolden) arguments(s *mtrScenario) []string {
	args := strings.Fields(g.args)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "_", " ")
	}
	return append(args, "-c", strconv.Itoa(s.Cycles), s.Target)
}

// mtrGoldens returns the table of them. The geometric mean and the jitter of
// RFC 1889 are not compared to the microsecond: mtr computes them in whole
// ones, and its error grows.
func mtrGoldens() []mtrGolden {
	return []mtrGolden{
		{"report", "mixed", "-r -n", false},
		{"report-wide", "mixed", "-w -n", false},
		{"report-fields", "mixed", "-r -n -o LSRD_NBAWVGJMXI", false},
		{"report-as", "mixed", "-r -n -z", false},
		{"report-wide-as", "mixed", "-w -n -z", false},
		{"report-prefix", "mixed", "-r -n -y 1", false},
		{"report-country", "mixed", "-w -n -y2", false},
		{"report-from-3", "mixed", "-r -n -f 3", false},
		{"report-up-to-3", "mixed", "-r -n -m 3", false},
		{"report-v6", "v6", "-r -n", false},
		{"report-wide-v6", "v6", "-w -n", false},
		{"report-cut", "cut", "-r -n", false},
		{"report-refused", "refused", "-r -n", false},
		{"report-silent", "silent", "-r -n", true},
		{"report-names", "local", "-r", false},
		{"report-wide-names", "local", "-w -b", false},
		{"report-mpls", "mpls", "-r -n -e", true},
		{"report-mpls-as", "mpls", "-r -n -e -z", true},
		{"json-mpls", "mpls", "-j -n -e", false},
		{"csv-mpls", "mpls", "-C -n -e", false},
		{"json", "mixed", "-j -n", false},
		{"json-fields", "mixed", "-j -n -o LSRD_NBAWVJMX", false},
		{"json-options", "mixed", "-j -n -z -Q 16 -s 100 -B 18", false},
		{"json-silent", "silent", "-j -n", true},
		{"csv", "mixed", "-C -n", false},
		{"csv-fields", "mixed", "-C -n -o LSRD_NBAWVJMX", false},
		{"csv-as", "mixed", "-C -n -z", false},
		{"csv-silent", "silent", "-C -n", true},
		{"xml", "mixed", "-x -n", false},
		{"xml-fields", "mixed", "-x -n -o LSRD_NBAWVGJMXI", false},
		{"xml-options", "v6", "-x -n -z -Q 16 -s 100 -B 300", false},
		{"xml-silent", "silent", "-x -n", true},
	}
}

// normalMtr replaces what differs from run to run: the host's name and the
// time. Both are as wide as what they replace.
func normalMtr(out, hostname string) string {
	out = regexp.MustCompile(`(?m)^Start: .*$`).ReplaceAllString(out, "Start: 2026-01-02T03:04:05+0000")
	out = regexp.MustCompile(`(?m)^MTR\.0\.95,\d+,`).ReplaceAllString(out, "MTR.0.95,1767323045,")
	host := "here" + strings.Repeat(" ", max(0, len(hostname)-4))
	out = strings.ReplaceAll(out, "HOST: "+hostname+strings.Repeat(" ", max(0, 4-len(hostname))), "HOST: "+host)
	out = strings.ReplaceAll(out, `SRC="`+hostname+`"`, `SRC="here"`)
	return strings.ReplaceAll(out, `"src": "`+hostname+`"`, `"src": "here"`)
}

// scriptedEngine answers as a scenario says.
type scriptedEngine struct {
	scenario *mtrScenario
	sent     map[uint8]int
	ready    []probers.Result
}

func (e *scriptedEngine) Wake() {}

func (e *scriptedEngine) Send(p probers.Probe) {
	n := e.sent[p.TTL]
	e.sent[p.TTL]++
	a := e.scenario.answer(int(p.TTL), n)
	if a == nil {
		return
	}
	r := probers.Result{Tag: p.Tag, Event: probers.Done, From: netip.MustParseAddr(a.addr), RTT: time.Duration(a.microseconds) * time.Microsecond}
	switch a.what {
	case "ttl-expired":
		r.Reason, r.ICMP = probers.TTLExceeded, probers.ICMPError{From: r.From, Type: 11}
	case "no-route":
		r.Reason, r.ICMP = probers.NetUnreachable, probers.ICMPError{From: r.From, Type: 3}
	}
	for stack := strings.Split(a.mpls, ","); len(stack) >= 4; stack = stack[4:] {
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(stack[i])
		}
		r.MPLS = append(r.MPLS, probers.MPLSLabel{Label: uint32(n[0]), Class: uint8(n[1]), Bottom: n[2] == 1, TTL: uint8(n[3])})
	}
	e.ready = append(e.ready, r)
}

func (e *scriptedEngine) Poll(until time.Time, out []probers.Result) []probers.Result {
	if len(e.ready) == 0 {
		time.Sleep(time.Until(until))
	}
	out = append(out, e.ready...)
	e.ready = nil
	return out
}

// runScenario measures a scenario with a command line, and returns what is
// printed and what is said about it.
func runScenario(t *testing.T, s *mtrScenario, args []string) (printed string, explained []string) {
	t.Helper()
	o, err := parseMtr("", args, true)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		engine := &scriptedEngine{scenario: s, sent: make(map[uint8]int)}
		run := &mtrRun{options: o, source: "here", host: s.Target, to: netip.MustParseAddr(s.Target), names: newMtrNames(t.Context(), false), started: time.Now()}
		if !o.NoDNS {
			run.names.names[netip.MustParseAddr("127.0.0.1")] = "localhost"
		}
		out := bufio.NewWriter(&b)
		view, err := newMtrView(run, out, engine)
		if err != nil {
			t.Fatal(err)
		}
		session := mtrSession{run: run, engine: engine, view: view, path: probers.NewPath(run.path())}
		session.measure(t.Context())
		run.report = session.path.Report()
		view.end()
		out.Flush()
		explained = explainMtr(run)
	})
	return b.String(), explained
}

func TestOutputIsThatOfMtr(t *testing.T) {
	for _, g := range mtrGoldens() {
		t.Run(g.file, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join("testdata/mtr", g.file+".golden"))
			if err != nil {
				t.Fatal(err)
			}
			s := readMtrScenario(t, g.scenario)
			args := g.arguments(s)
			if g.strict {
				args = append(args, "--strict-compat")
			}
			got, _ := runScenario(t, s, args)
			if diff := cmp.Diff(string(want), normalMtr(got, "here")); diff != "" {
				t.Errorf("mtr %q (-mtr +ours):\n%s", args, diff)
			}
		})
	}
}
