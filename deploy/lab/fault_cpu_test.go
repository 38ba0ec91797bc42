package main

import (
	"strings"
	"testing"
)

func TestParseGroup(t *testing.T) {
	for _, tt := range []struct {
		name, text, want, err string
	}{
		{"version 2 alone", "0::/user.slice/session-1.scope\n", "/user.slice/session-1.scope", ""},
		{"version 1 beside version 2", "2:cpu,cpuacct:/jobs/a:b\n1:name=systemd:/init\n0::/unified\n", "/jobs/a:b", ""},
		{"cpuacct and cpuset are not cpu", "3:cpuset:/a\n2:cpuacct:/b\n1:cpu:/\n", "/", ""},
		{"version 1 without the controller", "1:name=systemd:/init\n", "", "in none that has the CPU controller"},
		{"a line that is none", "cpu\n", "", `unexpected line "cpu\n"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseGroup(tt.text)
			if got != tt.want {
				t.Errorf("parseGroup() = %q; want %q", got, tt.want)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("parseGroup() error = %v; want %q", err, tt.err)
			}
		})
	}
}

func FuzzParseGroup(f *testing.F) {
	f.Add("2:cpu,cpuacct:/jobs\n0::/unified\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := parseGroup(text); err == nil && got == "" && !strings.Contains(text, "cpu") {
			t.Errorf("parseGroup(%q) gives neither a path nor an error", text)
		}
	})
}
