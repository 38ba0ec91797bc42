package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"go.yaml.in/yaml/v3"
)

func TestTheCommittedFilesAreWhatTheProgramWrites(t *testing.T) {
	folder := t.TempDir()
	if err := write(folder); err != nil {
		t.Fatal(err)
	}
	for _, b := range boards() {
		want, err := os.ReadFile(filepath.Join(folder, b.file()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(b.file())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is out of date, run: go run ./dashboards (-program +file)\n%.2000s", b.file(), diff)
		}
	}
}

// file is what this test reads of a dashboard's JSON.
type file struct {
	UID    string `json:"uid"`
	Title  string `json:"title"`
	Panels []struct {
		ID          uint32
		Type, Title string
		Description string
		GridPos     struct{ X, Y, W, H uint32 }
		Targets     []struct{ RefID, Expr string }
	}
}

func read(t *testing.T, b Board) file {
	t.Helper()
	text, err := b.encode()
	if err != nil {
		t.Fatal(err)
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatalf("%s is not JSON: %v", b.file(), err)
	}
	return f
}

// TestGrafanasSchemaAcceptsTheFiles reads them with the types that are made
// from Grafana's own schema: no unknown field, none missing, none of a wrong
// type, down to the options of each kind of panel.
func TestGrafanasSchemaAcceptsTheFiles(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	for _, b := range boards() {
		text, err := b.encode()
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard.Dashboard
		if err := d.UnmarshalJSONStrict(text); err != nil {
			t.Errorf("%s: %v", b.file(), err)
		}
		if err := d.Validate(); err != nil {
			t.Errorf("%s: %v", b.file(), err)
		}
	}
}

func TestPanelsHaveIdsOfTheirOwnAndDoNotOverlap(t *testing.T) {
	for _, b := range boards() {
		f := read(t, b)
		if f.UID != b.UID || f.Title == "" {
			t.Errorf("board %q has uid %q and title %q", b.UID, f.UID, f.Title)
		}
		ids := map[uint32]string{}
		cells := map[[2]uint32]string{}
		for _, p := range f.Panels {
			if other, taken := ids[p.ID]; taken {
				t.Errorf("%q and %q have the same id %d", other, p.Title, p.ID)
			}
			ids[p.ID] = p.Title
			if p.GridPos.W == 0 || p.GridPos.H == 0 || p.GridPos.X+p.GridPos.W > gridWidth {
				t.Errorf("%q is not on the grid: %+v", p.Title, p.GridPos)
			}
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other, taken := cells[[2]uint32{x, y}]; taken {
						t.Fatalf("%q lies over %q", p.Title, other)
					}
					cells[[2]uint32{x, y}] = p.Title
				}
			}
		}
	}
}

func TestEveryLineOfPanelsIsFilled(t *testing.T) {
	for _, b := range boards() {
		width := map[uint32]uint32{}
		for _, p := range read(t, b).Panels {
			width[p.GridPos.Y] += p.GridPos.W
		}
		for y, w := range width {
			if w != gridWidth {
				t.Errorf("%s: the panels that begin at y=%d are %d wide, of %d", b.UID, y, w, gridWidth)
			}
		}
	}
}

func TestEveryPanelSaysWhatIsHealthyAndWhatIsSick(t *testing.T) {
	for _, b := range boards() {
		titles := map[string]bool{}
		for _, row := range b.Rows {
			for _, p := range row.Panels {
				if p.Shows == "" || p.Healthy == "" || p.Sick == "" || len(p.Queries) == 0 || p.Kind == "" {
					t.Errorf("%q misses a part: %+v", p.Title, p)
				}
				if titles[p.Title] {
					t.Errorf("two panels are called %q", p.Title)
				}
				titles[p.Title] = true
				if p.instant() && p.NoValue == "" {
					t.Errorf("%q does not say what an empty table means", p.Title)
				}
			}
		}
	}
}

// rules is what this test reads of a rule file.
type rules struct {
	Groups []struct {
		Rules []struct{ Alert, Record, Expr string }
	}
}

func readRules(t *testing.T) (alerts, records map[string]bool) {
	t.Helper()
	alerts, records = map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("../alerts/*.rules.yaml")
	if err != nil || len(files) == 0 {
		t.Skipf("needs the rules in ../alerts: found %d files, %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var r rules
		if err := yaml.Unmarshal(text, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range r.Groups {
			for _, rule := range g.Rules {
				alerts[rule.Alert] = true
				records[rule.Record] = true
			}
		}
	}
	delete(alerts, "")
	delete(records, "")
	return alerts, records
}

func TestEveryAlertHasAPanelWithItsEvidence(t *testing.T) {
	alerts, _ := readRules(t)
	shown := map[string]bool{}
	for _, b := range boards() {
		for _, row := range b.Rows {
			for _, p := range row.Panels {
				for _, a := range p.Alerts {
					shown[a] = true
					if !alerts[a] {
						t.Errorf("%q shows the evidence of %s, and there is no such alert", p.Title, a)
					}
				}
			}
		}
	}
	for a := range alerts {
		if !shown[a] {
			t.Errorf("no panel shows the evidence of %s", a)
		}
	}
}

// expr is a query with the place that it comes from.
type expr struct {
	place string
	Query
	panel Panel
}

// exprs returns every query of every board.
func exprs() []expr {
	var all []expr
	for _, b := range boards() {
		for _, row := range b.Rows {
			for _, p := range row.Panels {
				for i, q := range p.Queries {
					all = append(all, expr{fmt.Sprintf("%s, %q, query %c", b.UID, p.Title, 'A'+i), q, p})
				}
			}
		}
		all = append(all, expr{place: b.UID + ", annotation", Query: Query{Expr: pagesExpr, OnlyDuringFault: true}})
	}
	return all
}

// filled returns the query as Grafana sends it with everything chosen.
func filled(expr, window string) string {
	return strings.NewReplacer(
		"$__rate_interval", window,
		"$node", ".*", "$peer_node", ".*", "$vantage", ".*", "$family", ".*",
	).Replace(expr)
}

func TestOnlyVariablesThatExistAreUsed(t *testing.T) {
	variable := regexp.MustCompile(`\$[^0-9]`) // $1 is label_replace's
	for _, e := range exprs() {
		if got := filled(e.Expr, "1m"); variable.MatchString(got) {
			t.Errorf("%s: a variable is unknown: %s", e.place, got)
		}
		if strings.Contains(e.Expr, "rate(") && !strings.Contains(e.Expr, "[$__rate_interval]") {
			t.Errorf("%s: a rate is not over $__rate_interval: %s", e.place, e.Expr)
		}
	}
}

func TestEveryMetricExists(t *testing.T) {
	_, records := readRules(t)
	known, err := os.ReadFile("../docs/METRICS.md")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err != nil {
		t.Log("metrics are not looked up: docs/METRICS.md does not exist")
	}
	metric := regexp.MustCompile(`\bpodnet_[a-z0-9_]+`)
	record := regexp.MustCompile(`\bpodnet:[a-z0-9_:]+`)
	word := func(name string) bool {
		return regexp.MustCompile(`\b` + name + `\b`).Match(known)
	}
	for _, e := range exprs() {
		for _, name := range record.FindAllString(e.Expr, -1) {
			if !records[name] {
				t.Errorf("%s: no rule records %s", e.place, name)
			}
		}
		for _, name := range metric.FindAllString(e.Expr, -1) {
			if known != nil && !word(name) && !word(strings.TrimSuffix(name, "_bucket")) {
				t.Errorf("%s: docs/METRICS.md does not have %s", e.place, name)
			}
		}
	}
}

// TestEveryQueryIsPromQL lets promtool read all queries as one file of rules.
func TestEveryQueryIsPromQL(t *testing.T) {
	promtool, err := filepath.Abs("../bin/promtool")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(promtool); err != nil {
		if promtool, err = exec.LookPath("promtool"); err != nil {
			t.Skip("needs promtool: make build puts it into bin/")
		}
	}
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var list []rule
	all := exprs()
	for i, e := range all {
		list = append(list, rule{fmt.Sprintf("query:%d", i), filled(e.Expr, "1m")})
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "queries", "rules": list}}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "queries.yaml")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", "--lint=none", name).CombinedOutput()
	if err == nil {
		return
	}
	for i, e := range all {
		if strings.Contains(string(out), fmt.Sprintf("\"query:%d\"", i)) {
			t.Errorf("%s: %s", e.place, e.Expr)
		}
	}
	t.Errorf("promtool: %v\n%s", err, out)
}
