package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCommandLine(t *testing.T) {
	t.Setenv("NODE_NAME", "")
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	nodes := file("nodes.yaml", "nodes: [{name: n1, addresses: [10.0.0.1]}]\n")
	bad := file("bad-nodes.yaml", "nodes: [{name: n1, addresses: [10.0.0.x]}]\n")
	tests := []struct {
		name string
		args []string
		code int
		want string // part of what is printed or returned
	}{
		{"a good configuration is summed up", []string{"check-config", file("good.yaml", "node: n1\ndiscovery: {file: {path: nodes.yaml}}\n")}, 0,
			"good.yaml is good: node n1, 1 nodes in " + nodes + ", icmp every 3s (64 bytes), tcp every 3s (port 9798), responder on :9798, collectors interface"},
		{"nodes may be found in Kubernetes", []string{"check-config", file("kubernetes.yaml", "discovery: {kubernetes: {namespace: podnet}}\n")}, 0,
			"nodes from the Services podnet-agent and podnet-endpoint in namespace podnet"},
		{"nodes that are not there yet are no mistake", []string{"check-config", file("early.yaml", "discovery: {file: {path: missing.yaml}}\n")}, 0, "(not there yet)"},
		{"what is off is said to be off", []string{"check-config", file("off.yaml",
			"discovery: {file: {path: nodes.yaml}}\nprobes: {icmp: {enabled: false}}\nresponder: {enabled: false}\n")}, 0, "icmp off, tcp every 3s (port 9798), responder off"},
		{"every mistake of a configuration is named", []string{"check-config", file("bad.yaml", "mesh: {peers: 1}\n")}, 1,
			"bad.yaml:1: mesh.peers: 1 is out of range; allowed: 8 to 256"},
		{"mistakes in the file of nodes are named", []string{"check-config", file("bad2.yaml", "discovery: {file: {path: bad-nodes.yaml}}\n")}, 1,
			bad + `:1: nodes[0].addresses[0]: want an IPv4 or IPv6 address, got "10.0.0.x"`},
		{"a file that is not there", []string{"check-config", filepath.Join(dir, "none.yaml")}, 1, "no such file"},
		{"an unknown flag", []string{"--nonsense"}, 2, "unknown long flag '--nonsense'; try --help"},
		{"an unknown command", []string{"nonsense"}, 2, "try --help"},
		{"an unknown level", []string{"--log.level=loud"}, 2, "must be one of debug,info,warn,error"},
		{"no file to check", []string{"check-config"}, 2, "required argument 'file' not provided"},
		{"an endpoint without a node", []string{"respond"}, 2, "--node is missing; give the node's name, or set NODE_NAME"},
		{"an endpoint with half a name", []string{"respond", "--node=n1", "--pod=endpoint"}, 2, `"endpoint" is not NAMESPACE/NAME`},
		{"an endpoint on an address that does not exist", []string{"respond", "--node=n1", "--listen=192.0.2.1:0"}, 1, "cannot assign requested address"},
		{"an agent without a configuration", []string{"--config.file=" + filepath.Join(dir, "none.yaml")}, 1, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(tt.args, &out, io.Discard)
			text := out.String()
			if err != nil {
				text += err.Error()
			}
			if got := exitCode(err); got != tt.code || !strings.Contains(text, tt.want) {
				t.Errorf("run(%q) = %d\n%s\nwant %d with %q", tt.args, got, text, tt.code, tt.want)
			}
		})
	}
}

func TestRespondAnswersUntilItIsStopped(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	log := make(logLines, 100)
	done := make(chan error, 1)
	go func() {
		done <- run([]string{"respond", "--node=n1", "--pod=a/b", "--listen=" + addr}, io.Discard, log)
	}()

	log.await(t, "UDP is not answered: there is no key")
	log.await(t, "answering probes")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "who?\n"); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(c.(io.Reader)); string(got) != "podnet_exporter node=n1 pod=a/b\n" {
		t.Errorf("answer = %q", got)
	}
	me, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := me.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("run() = %v; want nil after SIGINT", err)
		}
	case <-time.After(2 * time.Second):
		t.Error("run() did not end within 2 s of SIGINT")
	}
}

func TestLogFormats(t *testing.T) {
	tests := []struct {
		name          string
		level, format string
		want          []string
		not           string
	}{
		{"logfmt", "info", "logfmt", []string{"level=warn", `msg="two words"`, `err="broken\nfile"`, "caller=main_test.go:"}, "hidden"},
		{"JSON", "info", "json", []string{`"level":"warn"`, `"msg":"two words"`, `"err":"broken\nfile"`}, "hidden"},
		{"debug shows more", "debug", "logfmt", []string{"msg=hidden"}, "nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			log := logFlags{level: &tt.level, format: &tt.format}.logger(&out)
			log.Debug("hidden")
			log.Warn("two words", "err", errors.New("broken\nfile"))
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("log = %q; want %q in it", out.String(), want)
				}
			}
			if strings.Contains(out.String(), tt.not) {
				t.Errorf("log = %q; want no %q in it", out.String(), tt.not)
			}
		})
	}
}

// logLines is a log that can be waited for.
type logLines chan string

func (l logLines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// await reads the log until a line holds text.
func (l logLines) await(t *testing.T, text string) {
	t.Helper()
	for {
		select {
		case line := <-l:
			if strings.Contains(line, text) {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q was not logged within 10 s", text)
		}
	}
}
