package windows

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRewriteExpr(t *testing.T) {
	tests := []struct{ name, expr, want string }{
		{"a range selector gets the lab's window", `rate(a_total[5m])`, `rate(a_total[20s])`},
		{"every range of an expression is replaced", `rate(a[1m]) / rate(b[10s])`, `rate(a[10s]) / rate(b[1s])`},
		{"both parts of a subquery are replaced", `max_over_time(up[5m:30s])`, `max_over_time(up[20s:4s])`},
		{"a subquery without a step keeps its colon", `max_over_time(up[5m:])`, `max_over_time(up[20s:])`},
		{"an offset is a window", `a offset 5m - a offset -1m`, `a offset 20s - a offset -10s`},
		{"brackets in a regular expression are not windows", `a{probe=~"[0-9]m",x='[5m]'}[5m]`, `a{probe=~"[0-9]m",x='[5m]'}[20s]`},
		{"an escaped quote does not end a string", `a{x="\"[7m]"}[5m]`, `a{x="\"[7m]"}[20s]`},
		{"brackets in a comment are not windows", "a # [7m]\n+ b[5m]", "a # [7m]\n+ b[20s]"},
		{"a name that has offset in it is a name", `packet_offset_total`, `packet_offset_total`},
		{"a name with a window in it stays", `podnet:loss:rate5m > 0.05`, `podnet:loss:rate5m > 0.05`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rewriteExpr(tt.expr, ruleWindows())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRules(t *testing.T) {
	in := `groups:
    # the votes
    - name: podnet
      interval: 15s
      rules:
        - alert: PodNetX
          expr: |-
            rate(a[5m])
              > 0
          for: 30s
          keep_firing_for: 1m
          labels:
            severity: page
          annotations:
            description: 'since [5m]'
`
	want := strings.NewReplacer("interval: 15s", "interval: 2s", "a[5m]", "a[20s]", "for: 30s", "for: 4s",
		"keep_firing_for: 1m", "keep_firing_for: 10s").Replace(in)
	got, err := Rules("x.rules.yaml", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestLabRulesRefuses(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"a window that is not in the table", "groups:\n- rules:\n  - expr: rate(a[7m])\n", `x.rules.yaml:3: expr: duration "7m"`},
		{"a for that is not in the table", "groups:\n- rules:\n  - expr: a\n    for: 3h\n", `x.rules.yaml:4: for: duration "3h"`},
		{"text that is not YAML", "groups: [", "x.rules.yaml: yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Rules("x.rules.yaml", []byte(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v; want one with %q", err, tt.want)
			}
		})
	}
}

func TestLabAlertmanager(t *testing.T) {
	in := "route:\n    receiver: x\n    group_wait: 5s\n    group_interval: 10s\n    repeat_interval: 4h\n"
	want := "route:\n    receiver: x\n    group_wait: 1s\n    group_interval: 2s\n    repeat_interval: 4h\n"
	got, err := Alertmanager("alertmanager.yaml", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestShippedRulesHaveLabWindows(t *testing.T) {
	files, err := filepath.Glob("../../alerts/*.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Rules(filepath.Base(file), text); err != nil {
			t.Error(err)
		}
	}
}

func FuzzRewriteExpr(f *testing.F) {
	f.Add(`rate(a{b=~"[x]"}[5m:30s] offset 1m) # c`)
	f.Add("`[\"\\")
	f.Fuzz(func(_ *testing.T, expr string) {
		rewriteExpr(expr, ruleWindows()) //nolint:errcheck // it must not panic or hang
	})
}
