package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
)

// testPrefix keeps the test's namespaces apart from a running lab's.
const testPrefix = "podnettest-"

func TestTopology(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	for _, cni := range []string{cniVXLAN, cniRouted} {
		t.Run(cni, func(t *testing.T) {
			l := &Lab{Plan: newPlan(cni, testPrefix), StateDir: filepath.Join(t.TempDir(), "state"), Out: io.Discard}
			if _, err := l.remove(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.remove() })
			if err := makeTopology(l.Plan); err != nil {
				t.Fatal(err)
			}
			everybody := addresses(l.Plan)
			for _, name := range l.Plan.Namespaces() {
				if isRouter(l.Plan, name) {
					continue
				}
				targets := everybody
				if name == l.Plan.Mon.Netns && cni == cniVXLAN {
					targets = nodeAddresses(l.Plan) // the fabric knows no pods
				}
				if err := pingAll(name, targets); err != nil {
					t.Errorf("from %s: %v", name, err)
				}
			}
			checkServices(t, l.Plan)
			checkRemoved(t, l)
		})
	}
}

// A machine that has settled takes packets for all its addresses, of which the
// kernel is given many here and has not made the last when it has the first.
func TestSettledMachineAnswersItself(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	name := []string{testPrefix + "settles"}
	netspace.Remove(name) // of a run that was stopped
	t.Cleanup(func() { netspace.Remove(name) })
	m, err := newMachine(name[0], host)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	var own []netip.Addr
	for a := netip.MustParseAddr("fd00:99::1"); len(own) < 64; a = a.Next() {
		own = append(own, a)
		m.addr("lo", single(a))
	}
	m.settle(settleTime)
	if m.err != nil {
		t.Fatal(m.err)
	}
	if err := pingAll(m.name, own); err != nil {
		t.Error(err)
	}
	m.own6 = []netip.Addr{netip.MustParseAddr("fd00:98::1")} // the kernel was not asked for it
	m.settle(10 * time.Millisecond)
	if m.err == nil || !strings.Contains(m.err.Error(), "fd00:98::1") {
		t.Errorf("an address that is not there: %v; want an error that names it", m.err)
	}
}

// checkServices lets every endpoint listen, and connects to their Service from
// each node and pod, often enough that every endpoint is chosen: from 32 tries
// one of four is missing once in 2,500 runs, so the test asks for three.
func checkServices(t *testing.T, p Plan) {
	t.Helper()
	for _, n := range p.Nodes {
		serveName(t, n)
	}
	var from []string
	for _, n := range p.Nodes {
		from = append(from, n.Netns)
		for _, pod := range n.Pods() {
			from = append(from, pod.Netns)
		}
	}
	for _, name := range from {
		for _, to := range []string{"10.96.0.20:9798", "[fd00:96::20]:9798", "172.20.1.12:30798", "[fd00:20:2::14]:30798"} {
			seen := map[string]bool{}
			for range 32 {
				answer, err := readFrom(t, name, to)
				if err != nil {
					t.Errorf("from %s: %v", name, err)
					break
				}
				seen[answer] = true
			}
			if len(seen) < 3 {
				t.Errorf("from %s, %s is answered by %v; want all endpoints", name, to, seen)
			}
		}
	}
}

// serveName answers every connection to the node's endpoint with its name.
func serveName(t *testing.T, n NodePlan) {
	t.Helper()
	var l net.Listener
	err := netspace.In(n.EndpointNetns, func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", endpointPort))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Write([]byte(n.Name))
			c.Close()
		}
	}()
}

func readFrom(t *testing.T, netnsName, to string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	c, err := netspace.Dial(netnsName)(ctx, "tcp", to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

// checkRemoved removes the lab and looks for what is left of it.
func checkRemoved(t *testing.T, l *Lab) {
	t.Helper()
	removed, err := l.remove()
	if err != nil {
		t.Fatal(err)
	}
	if want := len(l.Plan.Namespaces()); len(removed) != want {
		t.Errorf("removed %d things; want %d namespaces: %q", len(removed), want, removed)
	}
	left, err := netspace.With(testPrefix)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestRemoveAfterCrash(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	l := &Lab{Plan: newPlan(cniVXLAN, testPrefix+"crash-"), StateDir: t.TempDir(), Out: io.Discard}
	t.Cleanup(func() { l.remove() })
	m, err := newMachine(l.Plan.Netns("n1"), router)
	if err != nil {
		t.Fatal(err)
	}
	m.close()
	// A file that a crash left before the namespace was bound to it.
	if err := os.WriteFile(netspace.Path(l.Plan.Netns("n2")), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// A torn state, and a process inside that nobody wrote down.
	if err := os.WriteFile(l.path("state.json"), []byte(`{"cni":`), 0o600); err != nil {
		t.Fatal(err)
	}
	var p process.Process
	err = netspace.In(l.Plan.Netns("n1"), func() error { p = sleeper(t); return nil })
	if err != nil {
		t.Fatal(err)
	}
	removed, err := l.remove()
	if err != nil {
		t.Fatal(err)
	}
	if p.Running() {
		t.Error("the process inside runs on")
	}
	if len(removed) != 5 {
		t.Errorf("removed %q; want the torn state told, a process, two namespaces and a directory", removed)
	}
}

func isRouter(p Plan, netnsName string) bool {
	for _, r := range p.Routers {
		if r.Netns == netnsName {
			return true
		}
	}
	return false
}

func nodeAddresses(p Plan) []netip.Addr {
	var all []netip.Addr
	for _, n := range p.Nodes {
		all = append(all, n.Addr4, n.Addr6)
	}
	return all
}

func addresses(p Plan) []netip.Addr {
	all := append(nodeAddresses(p), p.Mon.Addr4, p.Mon.Addr6)
	for _, n := range p.Nodes {
		for _, pod := range n.Pods() {
			all = append(all, pod.Addr4, pod.Addr6)
		}
	}
	return all
}

// pingAll sends an echo request to every address at once and waits for all
// replies, 3 s at most.
func pingAll(netnsName string, to []netip.Addr) error {
	var err4, err6 error
	err := netspace.In(netnsName, func() error {
		err4 = pingFamily("ip4:icmp", ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply, to)
		err6 = pingFamily("ip6:ipv6-icmp", ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply, to)
		return nil
	})
	return errors.Join(err, err4, err6)
}

func pingFamily(network string, request, reply icmp.Type, to []netip.Addr) error {
	c, err := icmp.ListenPacket(network, "")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return err
	}
	id := os.Getpid() & 0xffff
	waiting := map[int]netip.Addr{}
	for i, a := range to {
		if a.Is4() != (network == "ip4:icmp") {
			continue
		}
		b, err := (&icmp.Message{Type: request, Body: &icmp.Echo{ID: id, Seq: i}}).Marshal(nil)
		if err != nil {
			return err
		}
		if _, err := c.WriteTo(b, &net.IPAddr{IP: a.AsSlice()}); err != nil {
			return fmt.Errorf("to %s: %w", a, err)
		}
		waiting[i] = a
	}
	proto := unix.IPPROTO_ICMP
	if network != "ip4:icmp" {
		proto = unix.IPPROTO_ICMPV6
	}
	for b := make([]byte, 1500); len(waiting) > 0; {
		n, _, err := c.ReadFrom(b)
		if err != nil {
			return fmt.Errorf("no reply from %v: %w", waiting, err)
		}
		m, err := icmp.ParseMessage(proto, b[:n])
		if err != nil {
			return err
		}
		if echo, ok := m.Body.(*icmp.Echo); ok && m.Type == reply && echo.ID == id {
			delete(waiting, echo.Seq)
		}
	}
	return nil
}
