package paging

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWriteJSON(t *testing.T) {
	want := LabPace().complete(Expectation{Cause: "firewall_drop", Node: "n2", Severity: SeverityPage})
	for _, tt := range []struct {
		name    string
		results []Result
		want    string
	}{
		{"no results are an empty array", nil, "[]\n"},
		{
			"a page that did not come has no seconds",
			[]Result{newResult("forward-drop", want, observation{})},
			`[
  {
    "id": "forward-drop",
    "expected": {
      "cause": "firewall_drop",
      "node": "n2",
      "severity": "page"
    },
    "fired": [],
    "seconds": null,
    "pass": false,
    "reason": "no page for firewall_drop on n2"
  }
]
`,
		},
		{
			"a page has its labels and seconds",
			[]Result{newResult("forward-drop", want, observation{
				Fired: []firing{alert("page", "firewall_drop", "n2", 6.04, 30)}, Cleared: 20 * time.Second,
			})},
			`[
  {
    "id": "forward-drop",
    "expected": {
      "cause": "firewall_drop",
      "node": "n2",
      "severity": "page"
    },
    "fired": [
      {
        "labels": {
          "alertname": "PodNetX",
          "cause": "firewall_drop",
          "node": "n2",
          "severity": "page"
        },
        "seconds": 6
      }
    ],
    "seconds": 6,
    "pass": true,
    "reason": ""
  }
]
`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := WriteJSON(&out, tt.results); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWriteTableEndsWithTheCounts(t *testing.T) {
	want := LabPace().complete(Expectation{Cause: "firewall_drop", Node: "n2", Severity: SeverityPage})
	passes := observation{Cleared: 20 * time.Second, Fired: []firing{
		alert("ticket", "prober_impaired", "n4", 1, 0), alert("page", "firewall_drop", "n2", 6, 30), alert("ticket", "prober_impaired", "n1", 9, 0),
	}}
	var out bytes.Buffer
	err := WriteTable(&out, []Result{
		newResult("forward-drop", want, passes),
		newResult("pod-input-drop", want, observation{}),
		newResult("exporter-restart", Expectation{Node: "n2"}, observation{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i := range got {
		got[i] = strings.Join(strings.Fields(got[i]), " ")
	}
	if diff := cmp.Diff([]string{
		"ID EXPECTED FIRED SECONDS RESULT",
		"forward-drop firewall_drop·n2 page: PodNetX firewall_drop·n2 6.0 pass",
		"ticket: PodNetX prober_impaired·n4,n1",
		"pod-input-drop firewall_drop·n2 nothing - FAIL: no page for firewall_drop on n2",
		"exporter-restart no page nothing - pass",
		"",
		"2 passed, 1 failed",
	}, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
