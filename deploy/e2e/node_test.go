package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
)

// TestMain lets the test's own binary be a node's first process.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, enterCommand) || slices.Contains(os.Args, bootCommand) {
		if err := run(context.Background(), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// testCluster is one beside those that may be up on the machine.
func testCluster(t *testing.T) *Cluster {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes namespaces and cgroups")
	}
	for _, program := range []string{"containerd", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s; make e2e-tools installs it", program)
		}
	}
	c := &Cluster{StateDir: t.TempDir(), Repo: idleKubernetes(t), Out: io.Discard, prefix: "pnet-"}
	c.Plan = newPlan(Options{Prefix: c.prefix, Proxy: proxyIPTables, Nodes: 2})
	return c
}

// idleKubernetes returns a folder with programs in it that only look like
// those of a node.
func idleKubernetes(t *testing.T) string {
	t.Helper()
	repo := t.TempDir()
	if err := os.MkdirAll(filepath.Join(repo, "bin", "kubernetes"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kubelet", "kube-proxy"} {
		script := []byte("#!/bin/sh\nexec sleep 1000\n")
		if err := os.WriteFile(filepath.Join(repo, "bin", "kubernetes", name), script, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return repo
}

// TestNode boots a node without Kubernetes, looks around in it, and checks
// that nothing is left when it is removed.
func TestNode(t *testing.T) {
	c := testCluster(t)
	before := c.surroundings(t)
	for _, dir := range []string{"log", "pki", "nodes", "images"} {
		if err := os.MkdirAll(c.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := c.remove(); err != nil {
			t.Error(err)
		}
		if left, err := netspace.With(c.prefix); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
		if after := c.surroundings(t); before != after {
			t.Errorf("the machine was\n%s\nand is now\n%s", before, after)
		}
		if _, err := os.Stat(c.StateDir); err == nil {
			t.Errorf("%s is still there", c.StateDir)
		}
	})
	n := c.Plan.Nodes[0]
	if err := c.makeLAN(); err != nil {
		t.Fatal(err)
	}
	if err := c.makeNodeNetwork(n); err != nil {
		t.Fatal(err)
	}
	if err := c.startNode(n); err != nil {
		t.Fatal(err)
	}
	err := paging.Poll(t.Context(), startWithin, func(ctx context.Context) error {
		_, err := c.output(ctx, n, "ctr", "version")
		return err
	})
	if err != nil {
		t.Fatalf("%v; the node's log says:\n%s", err, process.LogTail(c.logFile(n.Name)))
	}
	for _, tt := range []struct{ what, command, want string }{
		{"it has a name of its own", "hostname", n.Name},
		{"its first process is the one that boots", "tr '\\0' '\\n' < /proc/1/cmdline | grep node-", bootCommand},
		{"it sees the root of its cgroups", "awk -F: '$2 == \"memory\" {print $3}' /proc/1/cgroup", "/"},
		{"it sees nobody else's processes", "ls -d /proc/[0-9]* | wc -l | awk '{print $1 < 20}'", "1"},
		{"its files are its own", "touch /etc/podnet-e2e-was-here && echo written", "written"},
		{"the kubelet's settings are its own", "echo 7 > /proc/sys/kernel/panic && cat /proc/sys/kernel/panic", "7"},
		{"it reaches the control plane, where nobody listens", "bash -c 'echo >/dev/tcp/" + c.Plan.Control.Addr4.String() + "/1' 2>&1 | grep -o refused | sort -u", "refused"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			out, err := c.output(t.Context(), n, "sh", "-c", tt.command)
			if got := strings.TrimSpace(string(out)); err != nil || got != tt.want {
				t.Errorf("%s: %q, %v; want %q", tt.command, got, err, tt.want)
			}
		})
	}
}

// surroundings is what of the machine a cluster must leave as it is. Mounts are
// those that can be its own: other tests make some at the same time.
func (c *Cluster) surroundings(t *testing.T) string {
	t.Helper()
	var lines []string
	for _, file := range []string{"/proc/sys/kernel/panic", "/proc/sys/vm/overcommit_memory", "/proc/thread-self/net/route", "/etc/machine-id"} {
		b, _ := os.ReadFile(file)
		lines = append(lines, file+": "+string(b))
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, c.prefix) || strings.Contains(line, c.StateDir) {
			lines = append(lines, line)
		}
	}
	groups, err := filepath.Glob(cgroupRoot + "/*/pnet-*")
	if err != nil {
		t.Fatal(err)
	}
	_, touched := os.Stat("/etc/podnet-e2e-was-here")
	return strings.Join(append(lines, fmt.Sprint(groups, touched == nil)), "\n")
}

func TestAClusterIsNotMadeWithoutItsPrograms(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, program := range []string{"containerd", "runc", "iptables"} {
		if err := os.WriteFile(filepath.Join(dir, program), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := programsThere(proxyIPTables); err != nil {
		t.Errorf("with iptables: %v", err)
	}
	if err := programsThere(proxyNFTables); err == nil || !strings.Contains(err.Error(), `"nft"`) || !strings.Contains(err.Error(), "make e2e-tools") {
		t.Errorf("without nft: %v; want what is missing, and what installs it", err)
	}
}
