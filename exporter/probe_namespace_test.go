package main

import (
	"strings"
	"testing"
)

func TestCheckNamespace(t *testing.T) {
	tests := []struct{ name, path, pod, says string }{
		{"neither", "", "", ""},
		{"a path", "/run/netns/web", "", ""},
		{"a pod", "", "shop/web-1", ""},
		{"both", "/run/netns/web", "shop/web-1", "--netns and --pod: give one of them"},
		{"a pod without a namespace", "", "web-1", `--pod "web-1" is not NAMESPACE/NAME`},
		{"an empty namespace", "", "/web-1", `--pod "/web-1" is not NAMESPACE/NAME`},
		{"an empty name", "", "shop/", `--pod "shop/" is not NAMESPACE/NAME`},
		{"a container too", "", "shop/web-1/nginx", `--pod "shop/web-1/nginx" is not NAMESPACE/NAME`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := checkNamespace(tt.path, tt.pod)
			if (err == nil) != (tt.says == "") || err != nil && err.Error() != tt.says {
				t.Errorf("checkNamespace() = %v; want %q", err, tt.says)
			}
		})
	}
}

func TestCommandsSayThatAPodIsNotOnThisNode(t *testing.T) {
	const pod = "no-such-namespace/no-such-pod"
	tests := []struct {
		command string
		code    int
	}{
		{"probe icmp -c 1 127.0.0.1", 1},
		{"paping -p 80 -c 1 127.0.0.1", 102},
		{"mtr -r -c 1 127.0.0.1", 1},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			args := append(strings.Fields(tt.command), "--pod", pod)
			code, _, stderr := ran(t, program(t, "podnet_exporter", args...))
			if code != tt.code || !strings.Contains(stderr, ": pod "+pod+": ") || !strings.Contains(stderr, "/var/log/pods") {
				t.Errorf("exit code %d, stderr %q; want %d, and what was looked at", code, stderr, tt.code)
			}
		})
	}
}
