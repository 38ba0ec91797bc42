package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

const papingTail = "Approximate connection times:\n\tMinimum = T, Maximum = T, Average = T\n\n"

func TestPapingPrintsWhatPapingPrints(t *testing.T) {
	open, refused := strconv.Itoa(listening(t, "tcp", "127.0.0.1:0")), strconv.Itoa(refusing(t))
	open6 := strconv.Itoa(listening(t, "tcp6", "[::1]:0"))
	inside := walled(t)
	failed := func(host, port, line string) string {
		return papingBanner + "Connecting to " + host + " on TCP " + port + ":\n\n" + line + "\n\nConnection statistics:\n" +
			"\tAttempted = 1, Connected = 0, Failed = 1 (100.00%)\n" +
			"Approximate connection times:\n\tMinimum = 0.00ms, Maximum = 0.00ms, Average = 0.00ms\n\n"
	}
	connected := func(host, shown, port string) string {
		return papingBanner + "Connecting to " + host + " on TCP " + port + ":\n\nConnected to " + shown + ": time=T protocol=TCP port=" + port +
			"\n\nConnection statistics:\n\tAttempted = 1, Connected = 1, Failed = 0 (0.00%)\n" + papingTail
	}
	tests := []struct {
		name   string
		args   string
		code   int
		stdout string
		stderr string // part of it; "" means none at all
	}{
		{"an open port", "--nocolor -c 1 127.0.0.1 -p " + open, 0, connected("127.0.0.1", "127.0.0.1", open), ""},
		{"a short address is shown in full afterwards", "--nocolor -c 1 127.1 -p " + open, 0, connected("127.1", "127.0.0.1", open), ""},
		{"an IPv6 address", "--nocolor -c 1 ::1 -p " + open6, 0, connected("::1", "::1", open6), ""},
		{"an open port in another namespace", "--nocolor -c 1 127.0.0.1 -p 11 --netns " + inside, 0, connected("127.0.0.1", "127.0.0.1", "11"), ""},
		{"a refused port is told from a timeout", "--nocolor -c 1 127.0.0.1 -p " + refused, 1, failed("127.0.0.1", refused, "Connection refused"), ""},
		{"a refused port is a timeout when strict", "--strict-compat --nocolor -c 1 127.0.0.1 -p " + refused, 1, failed("127.0.0.1", refused, "Connection timed out"), ""},
		{"a dropped port times out", "--nocolor -c 1 -t 100 127.0.0.1 -p 9 --netns " + inside, 1, failed("127.0.0.1", "9", "Connection timed out"), ""},
		{"a rejected port says who forbids it", "--nocolor -c 1 127.0.0.1 -p 10 --netns " + inside, 1, failed("127.0.0.1", "10", "Prohibited by a firewall (ICMP type 3 code 13 from 127.0.0.1)"), ""},
		{"an address without a route", "--nocolor -c 1 192.0.2.1 -p 80 --netns " + inside, 1, failed("192.0.2.1", "80", "No route to host"), ""},
		{"a name that does not resolve", "--nocolor a..b -p 80", 101, papingBanner + "Cannot resolve host\n", "no such host"},
		{"a name that does not resolve, in colour", "a..b -p 80", 101, papingBanner + "\x1b[01;31mCannot resolve host\x1b[22;0m\x1b[01;31m\x1b[22;0m\x1b[22;0m\n", "no such host"},
		{"a name that does not resolve is not explained when strict", "--strict-compat --nocolor a..b -p 80", 101, papingBanner + "Cannot resolve host\n", ""},
		{"IPv6 does not resolve when strict", "--strict-compat --nocolor ::1 -p 80", 101, papingBanner + "Cannot resolve host\n", ""},
		{"no arguments", "", 200, papingBanner + papingUsage, "no destination"},
		{"a question mark is a destination", "-?", 200, papingBanner + papingUsage, "no port"},
		{"help when strict is a destination", "--strict-compat --help", 200, papingBanner + papingUsage, ""},
		{"help", "--help", 0, papingBanner + steady(papingHelp), ""},
		{"a namespace that is not there", "--nocolor -p 80 127.0.0.1 --netns /none", 102, papingBanner, "/none: no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // each waits a second after its attempt
			code, stdout, stderr := ran(t, program(t, "podnet_exporter", append([]string{"paping"}, strings.Fields(tt.args)...)...))
			if diff := cmp.Diff(tt.stdout, stdout); diff != "" {
				t.Errorf("stdout (-want +got):\n%s", diff)
			}
			if code != tt.code || !strings.Contains(stderr, tt.stderr) || (tt.stderr == "") != (stderr == "") {
				t.Errorf("exit code %d, stderr %q; want %d, %q", code, stderr, tt.code, tt.stderr)
			}
		})
	}
}

func TestPapingByALinkWithColours(t *testing.T) {
	port := strconv.Itoa(listening(t, "tcp", "127.0.0.1:0"))
	code, stdout, _ := ran(t, program(t, "/usr/bin/paping", "-c", "1", "127.0.0.1", "-p", port))
	blue := func(s string) string { return "\x1b[01;34m" + s + "\x1b[22;0m" }
	want := papingBanner +
		"Connecting to \x1b[01;33m127.0.0.1\x1b[22;0m on \x1b[01;33mTCP " + port + "\x1b[22;0m:\x1b[01;33m\x1b[22;0m\x1b[22;0m\n\n" +
		"Connected to \x1b[01;32m127.0.0.1\x1b[22;0m: time=\x1b[01;32mT\x1b[22;0m protocol=\x1b[01;32mTCP\x1b[22;0m port=\x1b[01;32m" + port +
		"\x1b[22;0m\x1b[01;32m\x1b[22;0m\x1b[22;0m\n" +
		"\nConnection statistics:\n\tAttempted = " + blue("1") + ", Connected = " + blue("1") + ", Failed = " + blue("0") + " (" + blue("0.00%") + ")\n" +
		"Approximate connection times:\n\tMinimum = " + blue("T") + ", Maximum = " + blue("T") + ", Average = " + blue("T") + "\n" + blue("") + "\x1b[22;0m\n"
	if diff := cmp.Diff(want, stdout); diff != "" || code != 0 {
		t.Errorf("exit code %d, stdout (-want +got):\n%s", code, diff)
	}
}

func TestPapingPrintsStatisticsWhenInterrupted(t *testing.T) {
	tests := []struct {
		name, first, counts string
		port                int
		code                int
	}{
		{"after a success", "Connected to ", "Attempted = 1, Connected = 1, Failed = 0 (0.00%)", listening(t, "tcp", "127.0.0.1:0"), 0},
		{"after a failure", "Connection refused", "Attempted = 1, Connected = 0, Failed = 1 (100.00%)", refusing(t), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := program(t, "paping", "--nocolor", "127.0.0.1", "-p", strconv.Itoa(tt.port))
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			out := bufio.NewReader(stdout)
			for line := ""; !strings.HasPrefix(line, tt.first); {
				if line, err = out.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(out)
			if err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if !strings.HasPrefix(string(rest), "\nConnection statistics:\n\t"+tt.counts+"\n") || cmd.ProcessState.ExitCode() != tt.code {
				t.Errorf("exit code %d, and after the interrupt:\n%s\nwant %d, %s", cmd.ProcessState.ExitCode(), rest, tt.code, tt.counts)
			}
		})
	}
}

// scripted returns a session whose attempts take and give what a script says.
func scripted(out io.Writer, o papingOptions, script ...scriptedAttempt) *papingSession {
	n := 0
	return &papingSession{
		options: o, host: papingHost{name: o.Destination}, out: papingPrinter{out, true}, stats: papingStats{strict: o.Strict},
		attempt: func(context.Context) (probers.Result, error) {
			a := script[n]
			n++
			time.Sleep(a.takes) // in a bubble of synctest
			return a.result, a.err
		},
		explain: func(error) {},
	}
}

type scriptedAttempt struct {
	takes  time.Duration
	result probers.Result
	err    error
}

func TestPapingPaces(t *testing.T) {
	connected := func(d time.Duration) scriptedAttempt {
		return scriptedAttempt{takes: d, result: probers.Result{RTT: d}}
	}
	timeout := scriptedAttempt{takes: time.Second, result: probers.Result{Reason: probers.Timeout}}
	tests := []struct {
		name   string
		script []scriptedAttempt
		want   time.Duration
	}{
		{"successes are a second apart, and the last is waited for", []scriptedAttempt{connected(2 * time.Millisecond), connected(300 * time.Millisecond)}, 2 * time.Second},
		{"timeouts are the timeout and a second apart", []scriptedAttempt{timeout, timeout}, 4 * time.Second},
		{"a timeout waits for what the last success left of its second", []scriptedAttempt{connected(400 * time.Millisecond), timeout}, 2600 * time.Millisecond},
		{"a success that takes longer than a second is followed at once", []scriptedAttempt{connected(1200 * time.Millisecond)}, 1200 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				scripted(io.Discard, papingOptions{Count: len(tt.script)}, tt.script...).run(t.Context())
				if got := time.Since(start); got != tt.want {
					t.Errorf("took %v; want %v", got, tt.want)
				}
			})
		})
	}
}

func TestPapingLinesAndStatistics(t *testing.T) {
	const ms = time.Millisecond
	script := []scriptedAttempt{
		{takes: ms, result: probers.Result{Reason: probers.Refused}},
		{takes: 2 * ms, result: probers.Result{RTT: 1500 * time.Microsecond}},
		{takes: 1003 * ms, result: probers.Result{RTT: 2500 * time.Microsecond, Retransmits: 1}},
		{takes: ms, err: errors.New("no socket")},
	}
	tests := []struct {
		name   string
		strict bool
		want   string
	}{
		{"by default times are round trips and averages are over successes", false,
			"Connecting to h on TCP 80:\n\nConnection refused\nConnected to invalid IP: time=1.50ms protocol=TCP port=80\n" +
				"Connected to invalid IP: time=2.50ms protocol=TCP port=80 retransmits=1\nGeneral failure\n\nConnection statistics:\n" +
				"\tAttempted = 4, Connected = 2, Failed = 2 (50.00%)\nApproximate connection times:\n\tMinimum = 1.50ms, Maximum = 2.50ms, Average = 2.00ms\n\n"},
		{"when strict they are as paping has them", true,
			"Connecting to h on TCP 80:\n\nConnection timed out\nConnected to invalid IP: time=1.50ms protocol=TCP port=80\n" +
				"Connected to invalid IP: time=1003.00ms protocol=TCP port=80\nGeneral failure\n\nConnection statistics:\n" +
				"\tAttempted = 4, Connected = 2, Failed = 2 (50.00%)\nApproximate connection times:\n\tMinimum = 0.00ms, Maximum = 1003.00ms, Average = 251.12ms\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				status := scripted(&out, papingOptions{Destination: "h", Port: 80, Count: 4, Strict: tt.strict}, script...).run(t.Context())
				if diff := cmp.Diff(tt.want, out.String()); diff != "" || status != papingExitFailed {
					t.Errorf("exit status %d, (-want +got):\n%s", status, diff)
				}
			})
		})
	}
}

func TestPapingInterruptedBeforeTheFirstOutcome(t *testing.T) {
	for strict, want := range map[bool]string{
		false: "Failed = 0 (0.00%)\nApproximate connection times:\n\tMinimum = 0.00ms, Maximum = 0.00ms, Average = 0.00ms\n",
		true:  "Failed = 0 (-nan%)\nApproximate connection times:\n\tMinimum = 0.00ms, Maximum = 0.00ms, Average = -nanms\n",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var out bytes.Buffer
		status := scripted(&out, papingOptions{Strict: strict}, scriptedAttempt{}).run(ctx)
		if !strings.Contains(out.String(), want) || status != papingExitOK {
			t.Errorf("strict %t: exit status %d\n%s\nwant 0 with %q", strict, status, out.String(), want)
		}
	}
}
