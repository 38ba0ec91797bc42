package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
	"github.com/podnet-exporter/podnet_exporter/exporter/verdict"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// childVariable marks the test process that runs in a network namespace of
// its own.
const childVariable = "PODNET_TEST_CHILD"

// inOwnNamespace runs the calling test again in a process with a network
// namespace of its own, and reports whether this is that process.
func inOwnNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childVariable) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), childVariable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	t.Logf("in a network namespace of its own:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// testPod is the endpoint of the test's one node: a network namespace with a
// responder, joined to the process's own by a veth pair.
type testPod struct {
	path   string
	cancel context.CancelFunc
	ended  chan error
}

// newTestPod makes the pod. A pod that was closed can be made again at path.
func newTestPod(t *testing.T, path string) *testPod {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	made := make(chan error)
	go func() { // its thread ends in the new namespace, with it
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- err
			return
		}
		made <- unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	ns, err := netns.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	connect(t, ns)
	p := &testPod{path: path, ended: make(chan error, 1)}
	var responder *probers.Responder
	err = ns.Do(func() (err error) {
		responder, err = probers.NewResponder(probers.ResponderOptions{Listen: ":9798", Node: "n1", Namespace: "podnet", Pod: "endpoint"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(t.Context())
	go func() { p.ended <- responder.Run(ctx) }()
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	return p
}

// connect joins the process's namespace, 10.9.0.1, and ns, 10.9.0.2.
func connect(t *testing.T, ns *netns.Namespace) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(ns.Path())
	must(err)
	defer file.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "veth-endpoint"
	must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(file.Fd()))}))
	up := func(name, cidr string) error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if cidr != "" {
			addr, err := netlink.ParseAddr(cidr)
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(link, addr); err != nil {
				return err
			}
		}
		return netlink.LinkSetUp(link)
	}
	must(up("lo", ""))
	must(up("veth-endpoint", "10.9.0.1/24"))
	must(ns.Do(func() error { return errors.Join(up("lo", ""), up("eth0", "10.9.0.2/24")) }))
}

// close ends the pod as the kubelet does: its processes, its link, its
// namespace.
func (p *testPod) close(t *testing.T) {
	t.Helper()
	p.cancel()
	if err := <-p.ended; err != nil {
		t.Errorf("responder: %v", err)
	}
	if link, err := netlink.LinkByName("veth-endpoint"); err == nil {
		if err := netlink.LinkDel(link); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Unmount(p.path, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(p.path); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until is holds, for at most 15 s.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("15 s and still not: %s", what)
		}
	}
}

// value returns the sum of the series of a metric that have the labels.
func value(t *testing.T, g prometheus.Gatherer, name string, labels prometheus.Labels) (total float64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.Metric {
			has := prometheus.Labels{}
			for _, l := range m.Label {
				has[l.GetName()] = l.GetValue()
			}
			for label, want := range labels {
				if has[label] != want {
					continue series
				}
			}
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return total
}

// write makes a file in dir.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The life of an agent on real packets: it finds its pod, loses it, finds it
// again, is reloaded, refuses a bad file, and stops.
func TestAgent(t *testing.T) {
	if !inOwnNamespace(t) {
		return
	}
	dir := t.TempDir()
	podPath := filepath.Join(dir, "endpoint")
	pod := newTestPod(t, podPath)
	write(t, dir, "nodes.yaml", `
nodes:
  - name: n1
    zone: a
    addresses: [10.9.0.1]
    endpoint: {namespace: podnet, pod: endpoint, addresses: [10.9.0.2], netns: `+podPath+`}
`)
	file := write(t, dir, "config.yaml", "node: n1\ndiscovery: {file: {path: nodes.yaml}}\n")
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	var log strings.Builder
	a := newAgent(cfg, file, registry, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.run(ctx, nil) }()

	self := prometheus.Labels{"peer_node": "n1", "family": "ipv4"}
	says := func(v verdict.Verdict) func() bool {
		return func() bool {
			for _, p := range a.board.status() {
				if p.verdict == v {
					return true
				}
			}
			return false
		}
	}
	eventually(t, "the agent and its pod reach each other", says(verdict.OK))
	if err := a.Ready(); err != nil {
		t.Errorf("Ready() = %v", err)
	}

	pod.close(t)
	eventually(t, "the pod is missed", says(verdict.LocalPod))
	eventually(t, "the pod vantage is down", func() bool {
		return value(t, registry, "podnet_prober_vantage_up", prometheus.Labels{"vantage": "pod"}) == 0
	})
	newTestPod(t, podPath)
	eventually(t, "the new pod answers", says(verdict.OK))

	sent := value(t, registry, "podnet_probe_sent_total", self)
	write(t, dir, "config.yaml", "node: n1\ndiscovery: {file: {path: nodes.yaml}}\nprobes: {icmp: {interval: 500ms, timeout: 400ms}}\n")
	if err := a.Reload(); err != nil {
		t.Errorf("Reload() = %v", err)
	}
	if now := value(t, registry, "podnet_probe_sent_total", self); now < sent {
		t.Errorf("podnet_probe_sent_total fell from %v to %v with the reload", sent, now)
	}
	write(t, dir, "config.yaml", "node: n1\ndiscovery: {file: {path: nodes.yaml}}\nprobes: {icmp: {intervall: 1s}}\n")
	if err := a.Reload(); err == nil || !strings.Contains(err.Error(), "config.yaml:3") {
		t.Errorf("Reload() of a file with an unknown key = %v; want file and line", err)
	}
	if value(t, registry, "podnet_config_last_reload_successful", nil) != 0 {
		t.Error("podnet_config_last_reload_successful is not 0 after a bad reload")
	}
	eventually(t, "probing goes on after a bad reload", func() bool {
		return value(t, registry, "podnet_probe_sent_total", self) > sent+10
	})

	stop := time.Now()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run() = %v", err)
	}
	if took := time.Since(stop); took > 2*time.Second {
		t.Errorf("stopping took %v; want at most 2 s", took)
	}
	if n := strings.Count(log.String(), "cannot probe from this vantage"); n != 1 {
		t.Errorf("the missing namespace was logged %d times; want once\n%s", n, log.String())
	}
}

// A port that is taken is an error with the address in it, not a hang.
func TestAgentSaysThatThePortIsTaken(t *testing.T) {
	if !inOwnNamespace(t) {
		return
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", ":9798")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	write(t, dir, "nodes.yaml", "nodes: [{name: n1, addresses: [127.0.0.1]}]\n")
	file := write(t, dir, "config.yaml", "node: n1\ndiscovery: {file: {path: nodes.yaml}}\n")
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	a := newAgent(cfg, file, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err := a.run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), ":9798") {
		t.Errorf("run() = %v; want an error that names the address", err)
	}
}
