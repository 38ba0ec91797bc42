package alerts_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table of README.md anew")

// pageBudget is how long a page may take from the fault until it is sent, in
// seconds at the values of production.
const pageBudget = 60

// seconds returns how long the alert takes, as its promtool test demands it:
// fault to alert, with what is scraped and evaluated at the worst of times.
func seconds(t *testing.T, alert string) int {
	t.Helper()
	var test struct {
		Tests []struct {
			Queries []struct {
				Expr    string `yaml:"expr"`
				Samples []struct {
					Value float64 `yaml:"value"`
				} `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	read(t, filepath.Join("tests", alert+".test.yaml"), &test)
	first := `min(min_over_time(timestamp(ALERTS{alertname="` + alert + `", alertstate="firing"})[15m:10s])) - `
	for _, group := range test.Tests {
		for _, q := range group.Queries {
			if strings.HasPrefix(q.Expr, first) && len(q.Samples) == 1 {
				return int(q.Samples[0].Value)
			}
		}
	}
	t.Errorf("tests/%s.test.yaml does not say after how many seconds it fires: %sSECOND-OF-THE-FAULT", alert, first)
	return 0
}

// faults returns which faults are made for real to prove an alert, by cause,
// and by symptom and cause where the symptom is known.
func faults(t *testing.T) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	note := func(key, place, id string) {
		if proof := place + " " + id; !slices.Contains(found[key], proof) {
			found[key] = append(found[key], proof)
		}
	}
	symptoms := make(map[string]string) // of the lab's faults
	lab := regexp.MustCompile(`(?s)ID: "([\w-]+)".*?Inject:`)
	for _, entry := range entries(t, "../deploy/lab/faults_table*.go", lab) {
		symptom, cause := field(entry, `Symptom`), field(entry, `Cause`)
		if cause != "" {
			symptoms[field(entry, `ID`)] = symptom
			note(symptom+" "+cause, "lab", field(entry, `ID`))
		}
	}
	cluster := regexp.MustCompile(`(?s)\bid: "([\w-]+)".*?inject:`)
	for _, entry := range entries(t, "../deploy/e2e/checks.go", cluster) {
		id, cause := field(entry, `id`), field(entry, `cause`)
		if seen := regexp.MustCompile(`ALERTS\{cause="(\w+)"`).FindStringSubmatch(entry); seen != nil {
			cause = seen[1]
		}
		switch {
		case cause == "":
		case symptoms[id] != "":
			note(symptoms[id]+" "+cause, "e2e", id)
		default:
			note(cause, "e2e", id)
		}
	}
	if len(found) < 20 {
		t.Fatalf("only %d causes are proved by faults: were their tables moved?", len(found))
	}
	return found
}

// entries returns what a pattern finds in files.
func entries(t *testing.T, files string, pattern *regexp.Regexp) []string {
	t.Helper()
	names, err := filepath.Glob(files)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", files, len(names), err)
	}
	var all []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pattern.FindAllString(string(text), -1)...)
	}
	return all
}

// field returns the value of a string field in a Go literal, "" without one.
func field(literal, name string) string {
	m := regexp.MustCompile(`\b` + name + `:\s+"([^"]*)"`).FindStringSubmatch(literal)
	if m == nil {
		return ""
	}
	return m[1]
}

// table returns the table of all alerts, in the order of the rules.
func table(t *testing.T) string {
	t.Helper()
	proofs := faults(t)
	var rows strings.Builder
	rows.WriteString("| alert | symptom | cause | severity | seconds | at worst | proved by |\n|---|---|---|---|---|---|---|\n")
	for _, a := range alerts(t) {
		symptom, cause := a.Labels["symptom"], a.Labels["cause"]
		proof := append(slices.Clone(proofs[symptom+" "+cause]), proofs[cause]...)
		if len(proof) == 0 {
			proof = []string{"promtool only"}
		}
		fmt.Fprintf(&rows, "| [%s](runbooks/%s.md) | %s | %s | %s | %s | %s | %s |\n",
			a.Alert, a.Alert, symptom, cause, a.Labels["severity"], strconv.Itoa(seconds(t, a.Alert)), worstText(t, a), strings.Join(proof, ", "))
	}
	return rows.String()
}

func TestTheTableOfAlertsIsUpToDate(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- table: go test ./alerts -update -->\n", "<!-- end of table -->"
	before, rest, found := strings.Cut(string(text), begin)
	got, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		t.Fatalf("README.md has no table between %q and %q", begin, end)
	}
	want := table(t)
	if *update {
		if err := os.WriteFile("README.md", []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("README.md is out of date, run: go test ./alerts -update (-want +got)\n%s", diff)
	}
}
