package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParsePaping(t *testing.T) {
	tests := []struct {
		name string
		args string
		want papingOptions
		err  string // part of it; "" means none
	}{
		{"short options before the destination", "-p 80 -c 3 -t 500 h", papingOptions{Destination: "h", Port: 80, Count: 3, Timeout: 500 * time.Millisecond}, ""},
		{"long options after the destination", "h --port 80 --count 3 --timeout 500 --nocolor", papingOptions{Destination: "h", Port: 80, Count: 3, Timeout: 500 * time.Millisecond, Colorless: true}, ""},
		{"the timeout is a second by default, and the count has no end", "h -p 80", papingOptions{Destination: "h", Port: 80, Timeout: time.Second}, ""},
		{"the last of a repeated option counts", "-p 80 h -p 81", papingOptions{Destination: "h", Port: 81, Timeout: time.Second}, ""},
		{"a number ends at the first other character", "-p 80x -c +2.9 h", papingOptions{Destination: "h", Port: 80, Count: 2, Timeout: time.Second}, ""},
		{"a count below 1 has no end", "-c -5 -p 80 h", papingOptions{Destination: "h", Port: 80, Count: -5, Timeout: time.Second}, ""},
		{"an option's value may look like an option", "-p -c 80", papingOptions{}, "no port"},
		{"an option it does not know is the destination", "-h -p 80", papingOptions{Destination: "-h", Port: 80, Timeout: time.Second}, ""},
		{"a question mark is the destination", "-? -p 80", papingOptions{Destination: "-?", Port: 80, Timeout: time.Second}, ""},
		{"a value after an equals sign is a second destination", "--port=80 h", papingOptions{}, "more than one destination: --port=80 h"},
		{"no arguments", "", papingOptions{}, "no destination"},
		{"options without a destination", "-p 80", papingOptions{}, "no destination"},
		{"two destinations", "-p 80 a b", papingOptions{}, "more than one destination: a b"},
		{"no port", "h", papingOptions{}, `no port: give -p N, 1 to 65535 (and the destination is "h")`},
		{"port 0", "h -p 0", papingOptions{}, "no port"},
		{"a port that is no number", "h -p http", papingOptions{}, "no port"},
		{"a port too high", "h -p 65536", papingOptions{}, "port 65536: the highest is 65535"},
		{"a port too high when strict", "h -p 65616 --strict-compat", papingOptions{Destination: "h", Port: 65616, Timeout: time.Second, Strict: true}, ""},
		{"a timeout of 0", "h -p 80 -t 0", papingOptions{}, "the timeout is not a number of milliseconds above 0"},
		{"an option without its value", "h -p", papingOptions{}, "-p needs a value"},
		{"a namespace", "h -p 80 --netns /run/netns/a", papingOptions{Destination: "h", Port: 80, Timeout: time.Second, Netns: "/run/netns/a"}, ""},
		{"a pod's namespace", "h -p 80 --pod shop/web-1", papingOptions{Destination: "h", Port: 80, Timeout: time.Second, Pod: "shop/web-1"}, ""},
		{"a pod without its Kubernetes namespace", "h -p 80 --pod web-1", papingOptions{}, `--pod "web-1" is not NAMESPACE/NAME`},
		{"IPv6 only", "h -p 80 -6", papingOptions{Destination: "h", Port: 80, Timeout: time.Second, Family: 6}, ""},
		{"families are destinations when strict", "h -p 80 -6 --strict-compat", papingOptions{}, "more than one destination: h -6"},
		{"help needs nothing else", "--help", papingOptions{Timeout: time.Second, Help: true}, ""},
		{"help is a destination when strict", "--strict-compat --help -p 80", papingOptions{Destination: "--help", Port: 80, Timeout: time.Second, Strict: true}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parsePaping(strings.Fields(tt.args))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("parsePaping(%q) error = %v; want %q", tt.args, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("parsePaping(%q) (-want +got):\n%s", tt.args, diff)
			}
		})
	}
}

func TestAtoiIsThatOfC(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "80": 80, " \t80": 80, "+80": 80, "-80": -80, "80x": 80, "x80": 0, "- 80": 0, "--80": 0, "007": 7, "0x10": 0,
		"2147483647": 2147483647, "2147483648": -2147483648, "4294967376": 80,
		"9223372036854775807": -1, "9223372036854775808": -1, "-9223372036854775808": 0, "-9223372036854775809": 0,
	} {
		if got := atoi(text); got != want {
			t.Errorf("atoi(%q) = %d; want %d", text, got, want)
		}
	}
}

func FuzzParsePaping(f *testing.F) {
	for _, seed := range []string{"-p 80 h", "h --port=80", "-c", "--strict-compat -? -t 99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		o, err := parsePaping(strings.Fields(line))
		if err == nil && !o.Help && (o.Destination == "" || o.Port <= 0 || o.Timeout <= 0) {
			t.Errorf("parsePaping(%q) = %+v; want a destination, a port and a timeout", line, o)
		}
	})
}
