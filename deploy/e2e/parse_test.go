package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCgroups(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []hierarchy
		ok         bool
	}{
		{
			"controllers, systemd's hierarchy and version 2", "4:memory:/a/b\n9:name=systemd:/\n0::/x\n",
			[]hierarchy{{"memory", "/a/b"}, {"systemd", "/"}, {unified, "/x"}}, true,
		},
		{"two controllers in one folder", "3:cpu,cpuacct:/\n", []hierarchy{{"cpu,cpuacct", "/"}}, true},
		{"a group with a colon in it", "2:pids:/a:b\n", []hierarchy{{"pids", "/a:b"}}, true},
		{"a line that was cut off", "2:pids\n", nil, false},
		{"nothing", "", nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseCgroups(strings.NewReader(tt.text))
			if (err == nil) != tt.ok {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(hierarchy{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseCgroups(f *testing.F) {
	f.Add("4:memory:/a/b\n9:name=systemd:/\n0::/x\n")
	f.Fuzz(func(_ *testing.T, text string) {
		parseCgroups(strings.NewReader(text)) //nolint:errcheck // it must not panic
	})
}

func TestParseConsumption(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 120 30 13 14 15 16 17 18 4711 20 3 22"
	for _, tt := range []struct {
		name, line string
		want       consumption
		ok         bool
	}{
		{"an ordinary line", "42 (kubelet)" + rest, consumption{"kubelet", 1, 150, 3 * uint64(os.Getpagesize())}, true},
		{"a command with blanks and parentheses", "42 (a) (b) c)" + rest, consumption{"a) (b) c", 1, 150, 3 * uint64(os.Getpagesize())}, true},
		{"a line that was cut off", "42 (sleep) S 1 2", consumption{}, false},
		{"no command", "42", consumption{}, false},
		{"parentheses the wrong way round", ")(" + rest, consumption{}, false},
		{"nothing", "", consumption{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseConsumption(tt.line)
			if (err == nil) != tt.ok || got != tt.want {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestCommandOf(t *testing.T) {
	for _, tt := range []struct{ name, argv, want string }{
		{"podnet_exporter", "/podnet_exporter\x00run\x00--config.file=/x\x00", "podnet_exporter run"},
		{"podnet_exporter", "", "podnet_exporter"},
		{"kubelet", "/bin/kubelet\x00--config=/x\x00", "kubelet"},
	} {
		if got := commandOf(tt.name, tt.argv); got != tt.want {
			t.Errorf("commandOf(%q, %q) = %q; want %q", tt.name, tt.argv, got, tt.want)
		}
	}
}

func FuzzParseConsumption(f *testing.F) {
	f.Add("42 (kubelet) S 1 2 3 4 5 6 7 8 9 10 120 30 13 14 15 16 17 18 4711 20 3 22")
	f.Fuzz(func(_ *testing.T, line string) {
		parseConsumption(line) //nolint:errcheck // it must not panic
	})
}
