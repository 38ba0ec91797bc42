package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

func TestProbeSaysWhatHappened(t *testing.T) {
	inside := walled(t)
	tests := []struct {
		name   string
		args   string
		code   int
		stdout string
		stderr string // part of it; "" means none at all
	}{
		{"an address that answers", "icmp 127.0.0.1 -c 2", 0,
			"1 reply from 127.0.0.1: rtt T ms\n2 reply from 127.0.0.1: rtt T ms\n\nicmp 127.0.0.1: 2 sent, 2 succeeded, 0 failed\nrtt T\n", ""},
		{"an open port", "tcp 127.0.0.1:11 -c 1", 0,
			"1 connected to 127.0.0.1 port 11: rtt T ms\n\ntcp 127.0.0.1:11: 1 sent, 1 succeeded, 0 failed\nrtt T\n", ""},
		{"a closed port", "tcp 127.0.0.1 -p 12 -c 1", 1,
			"1 refused: 127.0.0.1 answered that nothing listens on port 12\n\ntcp 127.0.0.1: 1 sent, 0 succeeded, 1 failed (1 refused)\n", ""},
		{"a dropped port", "tcp 127.0.0.1:9 -c 1 -t 200ms", 1,
			"1 timeout: nothing came back from 127.0.0.1 within 200ms\n\ntcp 127.0.0.1:9: 1 sent, 0 succeeded, 1 failed (1 timeout)\n", ""},
		{"a rejected port", "tcp 127.0.0.1:10 -c 1", 1,
			"1 admin_prohibited: 127.0.0.1 says a firewall forbids it (ICMP type 3 code 13)\n\ntcp 127.0.0.1:10: 1 sent, 0 succeeded, 1 failed (1 admin_prohibited)\n", ""},
		{"an address without a route", "icmp 192.0.2.1 -c 1", 1,
			"1 no_route: this network namespace has no route to 192.0.2.1\n\nicmp 192.0.2.1: 1 sent, 0 succeeded, 1 failed (1 no_route)\n", ""},
		{"more probes than one at a time", "tcp 127.0.0.1:9 -c 3 -i 1ms -t 200ms", 1,
			strings.Join([]string{"1", "2", "3"}, " timeout: nothing came back from 127.0.0.1 within 200ms\n") +
				" timeout: nothing came back from 127.0.0.1 within 200ms\n\ntcp 127.0.0.1:9: 3 sent, 0 succeeded, 3 failed (3 timeout)\n", ""},
		{"UDP without a key", "udp 127.0.0.1", 2, "", "--key-file is for udp, which needs it"},
		{"a key file that is not there", "udp 127.0.0.1 --key-file /none", 2, "", "key file: open /none"},
		{"a name that does not resolve", "icmp a..b", 3, "", "probe icmp: a..b: lookup a..b: no such host"},
		{"no IPv6 address", "icmp -6 127.0.0.1", 3, "", "it has no IPv6 address"},
		{"no port", "tcp 127.0.0.1", 2, "", "probe tcp: --port is missing; try probe --help"},
		{"a port that is no number", "tcp 127.0.0.1:http", 2, "", `port "http" is not a number`},
		{"a port too high", "tcp 127.0.0.1 -p 65536", 2, "", "--port=65536 is out of range; allowed: 1 to 65535"},
		{"an option of another kind", "icmp 127.0.0.1 -p 80", 2, "", "--port is not an option of icmp"},
		{"a size too small", "icmp 127.0.0.1 -s 20", 2, "", "--size=20 is out of range; allowed: 28 to 65535"},
		{"a count below 0", "icmp 127.0.0.1 --count=-1", 2, "", "--count=-1 is below 0"},
		{"no interval", "icmp 127.0.0.1 -i 0s", 2, "", "--interval and --timeout must be at least 1ms"},
		{"both families", "icmp 127.0.0.1 -4 -6", 2, "", "-4 and -6 exclude each other"},
		{"an unknown kind", "smoke 127.0.0.1", 2, "", "must be one of"},
		{"an unknown output", "icmp 127.0.0.1 -o xml", 2, "", "must be one of text,json"},
		{"no target", "icmp", 2, "", "required argument 'target' not provided"},
		{"a namespace that is not there", "icmp 127.0.0.1 --netns /none", 1, "", "/none: no such file"},
		{"a pod and a path", "icmp 127.0.0.1 --netns /none --pod shop/web-1", 2, "", "--netns and --pod: give one of them"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"probe"}, strings.Fields(tt.args)...)
			if !slices.Contains(args, "-i") {
				args = append(args, "--interval=20ms")
			}
			if !slices.Contains(args, "--netns") {
				args = append(args, "--netns", inside)
			}
			code, stdout, stderr := ran(t, program(t, "podnet_exporter", args...))
			if diff := cmp.Diff(tt.stdout, stdout); diff != "" {
				t.Errorf("stdout (-want +got):\n%s", diff)
			}
			if code != tt.code || !strings.Contains(stderr, tt.stderr) || (tt.stderr == "") != (stderr == "") {
				t.Errorf("exit code %d, stderr %q; want %d, %q", code, stderr, tt.code, tt.stderr)
			}
		})
	}
}

func TestProbeAsJSON(t *testing.T) {
	code, stdout, stderr := ran(t, program(t, "podnet_exporter",
		"probe", "tcp", "127.0.0.1:10", "-c", "1", "-o", "json", "--netns", walled(t)))
	var lines []map[string]any
	for line := range strings.Lines(stdout) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	if code != 1 || stderr != "" || len(lines) != 2 || lines[0]["time"] == nil {
		t.Fatalf("exit code %d, stdout %s, stderr %s; want 1 and two objects", code, stdout, stderr)
	}
	delete(lines[0], "time")
	want := []map[string]any{
		{
			"type": "probe", "seq": 1., "event": "done", "success": false, "reason": "admin_prohibited",
			"icmp": map[string]any{"from": "127.0.0.1", "type": 3., "code": 13.},
			"text": "admin_prohibited: 127.0.0.1 says a firewall forbids it (ICMP type 3 code 13)",
		},
		{
			"type": "summary", "kind": "tcp", "target": "127.0.0.1:10", "address": "127.0.0.1", "port": 10.,
			"sent": 1., "succeeded": 0., "failed": 1., "late": 0., "duplicates": 0., "retransmits": 0.,
			"reasons": map[string]any{"admin_prohibited": 1.},
		},
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestProbeOfAResponderByUDP(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := probers.NewResponder(probers.ResponderOptions{Listen: "127.0.0.1:0", Node: "n1", Key: []byte("secret")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	code, stdout, stderr := ran(t, program(t, "podnet_exporter", "probe", "udp", r.Addr().String(), "-c", "1", "--key-file", file))
	cancel()
	<-done
	want := "1 reply from 127.0.0.1: rtt T ms\n\nudp " + r.Addr().String() + ": 1 sent, 1 succeeded, 0 failed\nrtt T\n"
	if diff := cmp.Diff(want, stdout); diff != "" || code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, stdout (-want +got):\n%s", code, stderr, diff)
	}
}

func TestProbeSummarizesWhenInterrupted(t *testing.T) {
	cmd := program(t, "podnet_exporter", "probe", "tcp", "-c", "0", "127.0.0.1:"+strconv.Itoa(listening(t, "tcp", "127.0.0.1:0")))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); err != nil || !strings.HasPrefix(line, "1 connected to ") {
		t.Fatalf("first line %q, %v", line, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if !strings.Contains(string(rest), "1 sent, 1 succeeded, 0 failed") || cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("exit code %d, and after the interrupt:\n%s\nwant 0 and a summary", cmd.ProcessState.ExitCode(), rest)
	}
}

// without runs a command in a process that can never have some capabilities.
func without(t *testing.T, cmd *exec.Cmd, capabilities ...uintptr) (code int, stderr string) {
	t.Helper()
	var text strings.Builder
	cmd.Stderr = &text
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		for _, c := range capabilities {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
				done <- err
				return
			}
		}
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			done <- err
			return
		}
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), text.String()
}

func TestProbeWithoutACapabilitySaysWhatToDo(t *testing.T) {
	inside := walled(t)
	tests := []struct {
		name       string
		capability uintptr
		args       []string
		want       string
	}{
		{"ICMP", unix.CAP_NET_RAW, []string{"icmp", "127.0.0.1"}, "run as root, or setcap cap_net_raw+ep podnet_exporter"},
		{"a namespace", unix.CAP_SYS_ADMIN, []string{"tcp", "127.0.0.1:11", "--netns", inside}, "(needs CAP_SYS_ADMIN): --netns and --pod: run as root"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stderr := without(t, program(t, "podnet_exporter", append([]string{"probe"}, tt.args...)...), tt.capability)
			if code != 4 || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, stderr %q; want 4, %q", code, stderr, tt.want)
			}
		})
	}
}

func TestEveryReasonHasASentence(t *testing.T) {
	to := netip.MustParseAddrPort("10.0.0.7:80")
	for _, reason := range probers.Reasons() {
		if strings.HasPrefix(string(reason), "dns_") || reason == probers.HTTPStatus || reason == probers.TLS {
			continue // no kind that is offered has it
		}
		if reason == probers.PortUnreachable || reason == probers.AdminProhibited || reason == probers.TTLExceeded {
			continue // comes with an ICMP error only
		}
		text := probeSentence(probers.TCP, to, 0, probers.Result{Event: probers.Done, Reason: reason})
		if !strings.HasPrefix(text, string(reason)+": ") || strings.HasSuffix(text, " failed") {
			t.Errorf("%s is said as %q", reason, text)
		}
	}
}

func TestProbeSentences(t *testing.T) {
	to, router := netip.MustParseAddrPort("10.0.0.7:80"), netip.MustParseAddr("172.20.1.1")
	tests := []struct {
		name   string
		kind   probers.Kind
		result probers.Result
		want   string
	}{
		{"a reply", probers.ICMP, probers.Result{Event: probers.Done, RTT: 210e3}, "reply from 10.0.0.7: rtt 0.21 ms"},
		{"a late reply", probers.ICMP, probers.Result{Event: probers.Late, RTT: 2e9}, "late reply from 10.0.0.7: rtt 2000.00 ms"},
		{"a duplicate", probers.ICMP, probers.Result{Event: probers.Duplicate, RTT: 1e6}, "duplicate reply from 10.0.0.7: rtt 1.00 ms"},
		{"a lost SYN", probers.TCP, probers.Result{Event: probers.Done, RTT: 1e6, Retransmits: 2}, "connected to 10.0.0.7 port 80: rtt 1.00 ms, SYN retransmitted 2 times: packets were lost"},
		{"a loop", probers.ICMP, probers.Result{Event: probers.Done, Reason: probers.TTLExceeded, ICMP: probers.ICMPError{From: router, Type: 11}},
			"ttl_exceeded: 172.20.1.1 says the time to live ran out there: a low --ttl, or a routing loop (ICMP type 11 code 0)"},
		{"a packet too big", probers.ICMP, probers.Result{Event: probers.Done, Reason: probers.FragNeeded, ICMP: probers.ICMPError{From: netip.MustParseAddr("2001:db8::1"), Type: 2, MTU: 1400}},
			"frag_needed: 2001:db8::1 says the packet is too large for the next link, of MTU 1400 (ICMPv6 type 2 code 0)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := probeSentence(tt.kind, to, 0, tt.result); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestProbeTargets(t *testing.T) {
	look := func(_ context.Context, host string) (string, []netip.Addr, error) {
		if host != "both" {
			return "", nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return host, []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")}, nil
	}
	tests := []struct {
		name  string
		flags probeFlags
		want  string // "" means an error
	}{
		{"an address and a port", probeFlags{target: "192.0.2.1:80"}, "192.0.2.1:80"},
		{"an IPv6 address and a port", probeFlags{target: "[2001:db8::1]:80"}, "[2001:db8::1]:80"},
		{"an IPv6 address, and the port as an option", probeFlags{target: "2001:db8::1", port: 80}, "[2001:db8::1]:80"},
		{"a name prefers IPv4", probeFlags{target: "both:80"}, "192.0.2.1:80"},
		{"a name with IPv6 only", probeFlags{target: "both:80", ipv6: true}, "[2001:db8::1]:80"},
		{"a name that is not there", probeFlags{target: "none:80"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.flags
			f.look, f.interval, f.timeout = look, 1e9, 1e9
			host, err := f.check(offeredProbe{name: "tcp", options: []string{"port"}})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if addr, err := f.resolve(t.Context(), host); err == nil {
				got = netip.AddrPortFrom(addr, uint16(f.port)).String()
			}
			if got != tt.want {
				t.Errorf("got %q; want %q", got, tt.want)
			}
		})
	}
}
