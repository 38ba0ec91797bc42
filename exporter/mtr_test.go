package main

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// What is ours alone has golden files that are ours: events and changes as they
// come depend on the moment, and mtr sends a probe more in its first cycle.
func TestOutputOfEvents(t *testing.T) {
	for _, tt := range []struct{ file, args string }{
		{"raw", "-l -n"}, {"split", "-p -n"}, {"report-2-decimals", "-r -n --loss-decimals 2"}, {"report-silent-ours", "-r -n"},
		{"report-mpls-ours", "-r -n -e"}, {"raw-mpls", "-l -n -e"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			scenario := "mixed"
			for _, other := range []string{"silent", "mpls"} {
				if strings.Contains(tt.file, other) {
					scenario = other
				}
			}
			s := readMtrScenario(t, scenario)
			got, _ := runScenario(t, s, mtrGolden{args: tt.args}.arguments(s))
			file := filepath.Join("testdata/mtr", tt.file+".want")
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), normalMtr(got, "here")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

func TestMtrExplains(t *testing.T) {
	ttlExceeded := func(addr string) mtrAnswer { return mtrAnswer{addr, 1000, "ttl-expired", ""} }
	reply := mtrAnswer{"192.0.2.99", 2000, "reply", ""}
	repeat := func(a mtrAnswer, n, lost int) (answers []*mtrAnswer) {
		for i := range n {
			if i < lost {
				answers = append(answers, nil)
			} else {
				answers = append(answers, &a)
			}
		}
		return answers
	}
	tests := []struct {
		name string
		hops [][]*mtrAnswer
		args string
		want []string
	}{
		{"all is well", [][]*mtrAnswer{repeat(ttlExceeded("10.0.0.1"), 100, 0), repeat(reply, 100, 0)}, "-r", nil},
		{"all is well, explained", [][]*mtrAnswer{repeat(ttlExceeded("10.0.0.1"), 100, 0), repeat(reply, 100, 0)}, "-r --explain", []string{"NO LASTING LOSS"}},
		{"a router limits its answers", [][]*mtrAnswer{repeat(ttlExceeded("10.0.0.1"), 100, 50), repeat(reply, 100, 0)}, "-r --explain", []string{
			"hop 1 (10.0.0.1) leaves 50.0% unanswered and later hops do not: it limits its own answers, nothing is lost there", "NO LASTING LOSS",
		}},
		{"a silent router", [][]*mtrAnswer{repeat(ttlExceeded("10.0.0.1"), 100, 0), repeat(reply, 100, 100), repeat(reply, 100, 0)}, "-r --explain", []string{
			"hop 2 never answers and later hops do: nothing is lost there", "NO LASTING LOSS",
		}},
		{"lasting loss", [][]*mtrAnswer{repeat(ttlExceeded("10.0.0.1"), 100, 0), repeat(ttlExceeded("10.0.0.2"), 100, 10), repeat(reply, 100, 12)}, "-r", []string{
			"LOSS BEGINS at hop 2 (10.0.0.2) behind 10.0.0.1, and lasts to the end: 12 of 100 lost (12.0%)",
		}},
		{"nothing comes through", [][]*mtrAnswer{repeat(ttlExceeded("10.0.0.1"), 100, 0), repeat(reply, 100, 100)}, "-r", []string{
			"LOSS BEGINS at hop 2 behind 10.0.0.1: nothing comes back from there or beyond",
		}},
		{"a router has no route", [][]*mtrAnswer{repeat(ttlExceeded("10.0.0.1"), 100, 0), repeat(mtrAnswer{"10.0.0.2", 1000, "no-route", ""}, 100, 0)}, "-r", []string{
			"hop 2 (10.0.0.2) answers: network unreachable (ICMP type 3 code 0)",
		}},
		{"the address of a Service", [][]*mtrAnswer{repeat(ttlExceeded("192.0.2.99"), 100, 80), repeat(ttlExceeded("192.0.2.99"), 100, 0), repeat(reply, 100, 0)}, "-r", []string{
			"hop 1 (192.0.2.99) is not the destination yet: its address is translated there, as a Service's is, and routers from there on answer in its name",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &mtrScenario{Target: "192.0.2.99", Cycles: 100}
			for _, answers := range tt.hops {
				s.Hops = append(s.Hops, struct{ Answers []*mtrAnswer }{answers})
			}
			_, got := runScenario(t, s, mtrGolden{args: tt.args + " -n"}.arguments(s))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("explained (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMtrOfATranslatedAddress lets the first router answer in the name of the
// destination, where mtr ends.
func TestMtrOfATranslatedAddress(t *testing.T) {
	s := &mtrScenario{Target: "192.0.2.99", Cycles: 1}
	for _, event := range []string{"ttl-expired", "reply"} {
		s.Hops = append(s.Hops, struct{ Answers []*mtrAnswer }{[]*mtrAnswer{{s.Target, 1000, event, ""}}})
	}
	for args, want := range map[string]int{"-r -n": 2, "-r -n --strict-compat": 1} {
		printed, _ := runScenario(t, s, mtrGolden{args: args}.arguments(s))
		if got := strings.Count(printed, "|-- 192.0.2.99"); got != want {
			t.Errorf("%s: %d hops; want %d:\n%s", args, got, want, printed)
		}
	}
}

func TestWhyAHopRefuses(t *testing.T) {
	router := netip.MustParseAddr("10.0.0.1")
	for want, hop := range map[string]probers.HopReport{
		"connection refused: nothing listens on the port":                                 {Reason: probers.Refused},
		"administratively prohibited: a firewall says no (ICMP type 3 code 13)":           {Reason: probers.AdminProhibited, ICMP: probers.ICMPError{From: router, Type: 3, Code: 13}},
		"the packet is too large for the next link (ICMP type 3 code 4), its MTU is 1400": {Reason: probers.FragNeeded, ICMP: probers.ICMPError{From: router, Type: 3, Code: 4, MTU: 1400}},
	} {
		if got := refusalMtr(hop); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}

func TestMtrExitStatus(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		want   error
		stdout string // begins with
		stderr string // is
	}{
		{"help", []string{"--help"}, nil, "Usage: podnet_exporter mtr", ""},
		{"version", []string{"-v"}, nil, "mtr 0.95\n", ""},
		{"an unknown option", []string{"-q"}, mtrExitFailed, "", "mtr: invalid option -- 'q'\nTry 'mtr --help'.\n"},
		{"a wrong value", []string{"-c", "x"}, mtrExitFailed, "", "mtr: invalid argument: 'x'\n"},
		{"an address of another family", []string{"-r", "-4", "::1"}, mtrExitFailed, "", "mtr: Failed to resolve host: ::1: Address family for hostname not supported\n"},
		{"the same, as mtr does", []string{"-r", "-4", "--strict-compat", "::1"}, nil, "", "mtr: Failed to resolve host: ::1: Address family for hostname not supported\n"},
		{"no such namespace", []string{"-r", "--netns", "/nonexistent", "::1"}, mtrExitFailed, "", "mtr: network namespace: open /nonexistent: no such file or directory\n"},
		{"a source address that is none", []string{"-r", "-a", "x", "::1"}, mtrExitFailed, "", "mtr: invalid local address: x\n"},
		{"an interface that is none", []string{"-r", "-I", "nonexistent0", "::1"}, mtrExitFailed, "", "mtr: no such interface: nonexistent0\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := mtrCommand{stdout: &stdout, stderr: &stderr, hostname: "here"}.run(tt.args)
			if !errors.Is(err, tt.want) || !strings.HasPrefix(stdout.String(), tt.stdout) || stderr.String() != tt.stderr {
				t.Errorf("error %v, stdout %.60q, stderr %q", err, stdout.String(), stderr.String())
			}
		})
	}
}

func TestMtrNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMtrNames(t.Context(), true)
		asked := make(chan string, 9)
		n.look = func(ctx context.Context, addr string) ([]string, error) {
			asked <- addr
			switch addr {
			case "10.0.0.1":
				return []string{"router.example.", "other.example."}, nil
			case "10.0.0.2":
				<-ctx.Done() // its server does not answer
			}
			return nil, errors.New("no such name")
		}
		for _, a := range []string{"10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3"} {
			n.ask(netip.MustParseAddr(a))
		}
		n.wait(t.Context())
		if len(asked) != 3 {
			t.Errorf("%d lookups; want one of each address", len(asked))
		}
		for addr, want := range map[string]string{"10.0.0.1": "router.example (10.0.0.1)", "10.0.0.2": "10.0.0.2", "10.0.0.3": "10.0.0.3"} {
			if got := n.show(netip.MustParseAddr(addr), "NAME (ADDRESS)"); got != want {
				t.Errorf("%s is shown as %q; want %q", addr, got, want)
			}
		}
	})
}

func TestJSONNumbersAreThoseOfJansson(t *testing.T) {
	for x, want := range map[float64]string{0: "0.0", 0.5: "0.5", 33.333: "33.333", 66.666: "66.666", 1234.567: "1234.6", 12345.678: "12346.0", 99999.6: "1e5", 123456: "1.2346e5", 100: "100.0", 0.00001: "1e-5"} {
		if got := jsonReal(x); got != want {
			t.Errorf("jsonReal(%v) = %s; want %s", x, got, want)
		}
	}
}
