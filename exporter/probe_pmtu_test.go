package main

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

func TestProbePMTU(t *testing.T) {
	inside := walled(t)
	code, stdout, stderr := ran(t, program(t, "podnet_exporter", "probe", "pmtu", "127.0.0.1", "--netns", inside))
	want := "1 65535 bytes: reply from 127.0.0.1: rtt T ms\n\npmtu 127.0.0.1: path MTU 65535 bytes, all that the route allows\n"
	if diff := cmp.Diff(want, stdout); diff != "" || code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, stdout (-want +got):\n%s", code, stderr, diff)
	}

	code, stdout, _ = ran(t, program(t, "podnet_exporter", "probe", "pmtu", "127.0.0.1", "-s", "1400", "-o", "json", "--netns", inside))
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil || len(lines) != 2 || code != 0 {
		t.Fatalf("exit code %d, %v, stdout %s; want two objects", code, err, stdout)
	}
	summary := map[string]any{
		"type": "summary", "kind": "pmtu", "target": "127.0.0.1", "address": "127.0.0.1", "sent": 1.,
		"state": "full", "mtu": 1400., "upper": 1400., "text": "path MTU 1400 bytes, all that the route allows",
	}
	if diff := cmp.Diff(summary, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	code, stdout, stderr = ran(t, program(t, "podnet_exporter", "probe", "pmtu", "192.0.2.1", "--netns", inside))
	if code != 1 || stdout != "" || !strings.Contains(stderr, "route to 192.0.2.1") {
		t.Errorf("without a route: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestPMTUSentence(t *testing.T) {
	to := netip.MustParseAddr("10.244.2.2")
	told := probers.ICMPError{From: netip.MustParseAddr("172.20.1.1"), Type: 3, Code: 4, MTU: 1400}
	tests := []struct {
		name   string
		report probers.PMTUReport
		want   string
	}{
		{"everything passes", probers.PMTUReport{State: probers.PMTUFull, MTU: 1450, Upper: 1450},
			"path MTU 1450 bytes, all that the route allows"},
		{"a router says that it has less", probers.PMTUReport{State: probers.PMTUSmaller, MTU: 1400, Upper: 1450, Told: told},
			"path MTU 1400 bytes of the 1450 that the route allows: 172.20.1.1 says so, and connections adapt"},
		{"the interface has less", probers.PMTUReport{State: probers.PMTUSmaller, MTU: 1400, Upper: 1450},
			"path MTU 1400 bytes of the 1450 that the route allows: this host says so"},
		{"nobody says anything", probers.PMTUReport{State: probers.PMTUBlackHole, MTU: 1400, Upper: 1450},
			"black hole: 1400 bytes pass, larger packets up to 1450 vanish without a word; connections to 10.244.2.2 hang once they send much"},
		{"nothing passes", probers.PMTUReport{State: probers.PMTUUnknown, Upper: 1450, Reason: probers.Timeout},
			"unknown: small packets fail as well (timeout)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := pmtuSentence(to, tt.report); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestProbeTransfer(t *testing.T) {
	r, err := probers.NewResponder(probers.ResponderOptions{Listen: "127.0.0.1:0", Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	code, stdout, stderr := ran(t, program(t, "podnet_exporter", "probe", "transfer", r.Addr().String(), "-c", "1", "-s", "9000"))
	cancel()
	<-done
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "1 9000 bytes to 127.0.0.1 port ") {
		t.Errorf("exit code %d, stderr %q, stdout %q", code, stderr, stdout)
	}
	code, stdout, _ = ran(t, program(t, "podnet_exporter", "probe", "transfer", r.Addr().String(), "-c", "1"))
	if code != 1 || !strings.HasPrefix(stdout, "1 refused: 127.0.0.1 answered that nothing listens") {
		t.Errorf("without a responder: exit code %d, stdout %q", code, stdout)
	}
}
