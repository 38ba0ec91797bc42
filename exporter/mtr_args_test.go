package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

func TestParseMtr(t *testing.T) {
	tests := []struct {
		name        string
		environment string
		args        []string
		want        func(*mtrOptions) // the change from the defaults
	}{
		{"nothing is localhost", "", nil, func(o *mtrOptions) { o.Hosts = []string{"localhost"} }},
		{"several hosts", "", []string{"a", "b"}, func(o *mtrOptions) { o.Hosts = []string{"a", "b"} }},
		{"options behind the host", "", []string{"a", "-r", "-n"}, func(o *mtrOptions) { o.Mode, o.NoDNS = mtrReport, true }},
		{"short options in one argument, the last with its value", "", []string{"-rnc3", "a"}, func(o *mtrOptions) {
			o.Mode, o.NoDNS, o.Cycles, o.HasCycles = mtrReport, true, 3, true
		}},
		{"a value in the next argument", "", []string{"-rc", "3", "a"}, func(o *mtrOptions) { o.Mode, o.Cycles, o.HasCycles = mtrReport, 3, true }},
		{"long options, both ways to give a value", "", []string{"--report", "--report-cycles", "3", "--psize=100", "a"}, func(o *mtrOptions) {
			o.Mode, o.Cycles, o.HasCycles, o.Size = mtrReport, 3, true, 100
		}},
		{"abbreviated, though we have one that begins so", "", []string{"--n", "--grace", "2", "a"}, func(o *mtrOptions) { o.NoDNS, o.Grace = true, 2*time.Second }},
		{"a double dash ends the options", "", []string{"-r", "--", "-n"}, func(o *mtrOptions) { o.Mode, o.Hosts = mtrReport, []string{"-n"} }},
		{"a dash is a host", "", []string{"-"}, func(o *mtrOptions) { o.Hosts = []string{"-"} }},
		{"the last mode counts", "", []string{"-r", "-j", "-C", "-x", "-l", "a"}, func(o *mtrOptions) { o.Mode = mtrRaw }},
		{"wide is a report", "", []string{"-w", "a"}, func(o *mtrOptions) { o.Mode, o.Wide = mtrReport, true }},
		{"the environment comes first", "-r -c 3 -n ignored", []string{"-c4", "a"}, func(o *mtrOptions) {
			o.Mode, o.NoDNS, o.Cycles, o.HasCycles = mtrReport, true, 4, true
		}},
		{"UDP with ports", "", []string{"-uP", "53", "-L", "5000", "a"}, func(o *mtrOptions) { o.Kind, o.Port, o.LocalPort = probers.TraceUDP, 53, 5000 }},
		{"TCP", "", []string{"-T", "a"}, func(o *mtrOptions) { o.Kind = probers.TraceTCP }},
		{"hops are cut to what is possible", "", []string{"-f", "9", "-m", "5", "-U", "0", "a"}, func(o *mtrOptions) { o.FirstTTL, o.MaxTTL, o.MaxUnknown = 5, 5, 1 }},
		{"no hop 0, none above 255", "", []string{"-m", "1000", "-f", "0", "a"}, func(o *mtrOptions) { o.MaxTTL = 255 }},
		{"packets", "", []string{"-s", "-1000", "-B", "300", "-Q", "16", "-M", "7", "a"}, func(o *mtrOptions) { o.Size, o.Pattern, o.TOS, o.Mark = -1000, -1, 16, 7 }},
		{"a type of service that does not exist is 0", "", []string{"-Q", "999", "a"}, func(*mtrOptions) {}},
		{"where from", "", []string{"-a", "10.0.0.1", "-I", "eth0", "-6", "a"}, func(o *mtrOptions) { o.Address, o.Interface, o.Family = "10.0.0.1", "eth0", 6 }},
		{"columns", "", []string{"-o", "LS NABWV", "-b", "-e", "-z", "a"}, func(o *mtrOptions) { o.ShowIPs, o.MPLS, o.IPInfo = true, true, 0 }},
		{"times", "", []string{"-i", "0.25", "-G", "1.5", "-Z", "3", "a"}, func(o *mtrOptions) {
			o.Interval, o.Grace, o.Timeout = 250*time.Millisecond, 1500*time.Millisecond, 3*time.Second
		}},
		{"what mtr does not have", "", []string{"--netns", "/run/netns/x", "--strict-compat", "--explain", "--loss-decimals", "2", "--flows=4", "a"}, func(o *mtrOptions) {
			o.Netns, o.Strict, o.Explain, o.LossDecimals, o.Flows = "/run/netns/x", true, true, 2, 4
		}},
		{"a pod's namespace", "", []string{"--pod", "shop/web-1", "a"}, func(o *mtrOptions) { o.Pod = "shop/web-1" }},
		{"help ends it", "", []string{"-r", "-h", "--nonsense"}, func(o *mtrOptions) { o.Mode, o.Help, o.Hosts = mtrReport, true, []string{"localhost"} }},
		{"version ends it", "", []string{"--version", "--nonsense"}, func(o *mtrOptions) { o.Version, o.Hosts = true, []string{"localhost"} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := mtrDefaults()
			want.Hosts = []string{"a"}
			tt.want(&want)
			got, err := parseMtr(tt.environment, tt.args, true)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

// The words are those of mtr, as it was run.
func TestParseMtrMistakes(t *testing.T) {
	tests := []struct {
		args string
		want string
	}{
		{"-u -T", "-u , -T and -S are mutually exclusive"},
		{"-u -S", "-u , -T and -S are mutually exclusive"},
		{"-S", "SCTP is not supported: use ICMP, -u (UDP) or -T (TCP)"},
		{"-P 0", "Illegal port number: 0"},
		{"-P 65536", "Illegal port number: 65536"},
		{"-L 1000", "Illegal port number: 1000"},
		{"-o ABCc", "Unknown field identifier: C"},
		{"-o LLLLLLLLLLLLLLLLLLLLLLLLLLLL", "Too many fields: LLLLLLLLLLLLLLLLLLLLLLLLLLLL"},
		{"-i 0", "wait time must be positive"},
		{"-i abc", "invalid argument: 'abc'"},
		{"-i nan", "invalid argument: 'nan'"},
		{"-G 0", "wait time must be positive"},
		{"-c x", "invalid argument: 'x'"},
		{"-c -1", "invalid argument: '-1'"},
		{"-M 99999999999", "invalid argument: '99999999999'"},
		{"-y 9", "value 9 out of range (0 - 4)"},
		{"--displaymode 9", "value out of range (0 - 2): 9"},
		{"-q", "invalid option -- 'q'"},
		{"-c", "option requires an argument -- 'c'"},
		{"--re", "option '--re' is ambiguous; possibilities: '--report' '--report-wide' '--report-cycles'"},
		{"--nonsense", "unrecognized option '--nonsense'"},
		{"--report=1", "option '--report' doesn't allow an argument"},
		{"--psize", "option '--psize' requires an argument"},
		{"--strict-compat -s -100", "invalid argument: '-100'"},
		{"--flows 17", "--flows 17: 1 to 16"},
		{"--loss-decimals 3", "--loss-decimals 3: 1 or 2"},
		{"-F /nonexistent", "open /nonexistent: open /nonexistent: no such file or directory"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			_, err := parseMtr("", strings.Fields(tt.args), true)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v; want %s", err, tt.want)
			}
		})
	}
	if _, err := parseMtr("", []string{"-i", "0.5"}, false); err == nil {
		t.Error("somebody who is not root must not ask for half a second")
	}
}

func TestMtrHostsFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte("a\n\n  b \r\nc"), 0o644); err != nil {
		t.Fatal(err)
	}
	o, err := parseMtr("", []string{"-F", file, "d"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, o.Hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

func FuzzParseMtr(f *testing.F) {
	for _, s := range []string{"-rnc3 a", "--report-cycles=3 -s-100 a", "-o LS_NABWV -- -x", "-T -P 443 --flows 4", "-c 99999999999999999999", "-i 1e300 -G -1", "-\x00 --=", "-B 300 -Q -1 -m 0 -f 300"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Fields(line)
		for _, a := range args { // -F reads files
			if strings.HasPrefix(a, "-") && strings.Contains(a, "F") || strings.HasPrefix(a, "--f") {
				t.Skip()
			}
		}
		o, err := parseMtr("", args, true)
		var usage usageError
		if err != nil {
			if err.Error() == "" || errors.As(err, &usage) && usage.error == nil {
				t.Errorf("an error without words: %#v", err)
			}
			return
		}
		if len(o.Hosts) == 0 || o.FirstTTL < 1 || o.FirstTTL > o.MaxTTL || o.MaxTTL > 255 || o.Interval <= 0 || o.Cycles < 0 || o.Size > 65535 || o.Flows < 1 || o.Pattern > 255 || o.TOS < 0 || o.TOS > 255 {
			t.Errorf("%q makes impossible options: %+v", args, o)
		}
	})
}
