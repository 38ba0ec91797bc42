package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// path is from a machine to a machine, by the names of their namespaces
// without the prefix: "n1 n2-endpoint".
type path string

// Every fault breaks what it says and nothing else, also when it is injected
// twice, and clearing puts all of it right.
func TestFaultsBreakWhatTheySay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	for _, tt := range []struct {
		id            string
		broken, works []path
	}{
		{
			"forward-drop",
			[]path{"n1 n2-endpoint", "n3 n2-endpoint", "n1-endpoint n2-endpoint", "n2-endpoint n3-endpoint"},
			[]path{"n1 n2", "n1-endpoint n2", "n2 n2-endpoint", "n2-endpoint n2", "n1 n3-endpoint"},
		},
		{
			"output-drop",
			[]path{"n1 n2", "n1 n2-endpoint", "n2 n1"},
			[]path{"n1 n3", "n1 n3-endpoint", "n3 n1-endpoint", "n3 n2-endpoint"},
		},
		{
			"pod-input-drop",
			[]path{"n1 n2-endpoint", "n2 n2-endpoint", "n2-endpoint n2"},
			[]path{"n1 n2", "n2-endpoint n2-endpoint", "n1 n3-endpoint"},
		},
		{
			"route-missing",
			[]path{"n1 n2-endpoint", "n1-endpoint n2-endpoint"},
			[]path{"n1 n2", "n1 n3-endpoint", "n3 n2-endpoint"},
		},
		{
			"pod-link-down",
			[]path{"n1 n2-endpoint", "n2 n2-endpoint", "n2-endpoint n2"},
			[]path{"n1 n2", "n1 n3-endpoint"},
		},
		{
			"conntrack-full",
			[]path{"n1 n2", "n1 n2-endpoint", "n2 n2-endpoint", "n2 n3"},
			[]path{"n1 n3", "n1 n3-endpoint"},
		},
		{
			"overlay-port-blocked",
			[]path{"n1 n2-endpoint", "n3 n2-endpoint", "n2 n1-endpoint", "n2 n3-endpoint"},
			[]path{"n1 n2", "n3 n2", "n2 n1", "n2 n2-endpoint", "n1 n3-endpoint"},
		},
		{
			"node-down",
			[]path{"n1 n2", "n1 n2-endpoint", "n2 n3"},
			[]path{"n1 n3", "n1 n3-endpoint"},
		},
		{
			"port-filtered",
			[]path{"n1 n2-endpoint", "n2 n2-endpoint"},
			[]path{"n1 n2", "n2-endpoint n2"},
		},
	} {
		for _, cni := range []string{cniVXLAN, cniRouted} {
			t.Run(tt.id+" "+cni, func(t *testing.T) {
				l := brokenLab(t, cni)
				f, err := faultByID(tt.id)
				if err != nil {
					t.Fatal(err)
				}
				if l.applies(f) != nil {
					return
				}
				all := slices.Concat(tt.works, tt.broken)
				expect(t, l, all, true)
				for range 2 {
					if err := l.injectFault(t.Context(), tt.id, ""); err != nil {
						t.Fatal(err)
					}
				}
				expect(t, l, tt.works, true)
				expect(t, l, tt.broken, false)
				for range 2 {
					if err := l.clearFaults(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				expect(t, l, all, true)
			})
		}
	}
}

// brokenLab makes a lab's network without its programs, in which nodes and
// endpoints listen.
func brokenLab(t *testing.T, cni string) *Lab {
	t.Helper()
	l := &Lab{Plan: newPlan(cni, fmt.Sprintf("podnetfault%d-", os.Getpid())), StateDir: t.TempDir(), Out: io.Discard}
	if err := l.changeState(func(*State) {}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.remove() })
	if err := makeTopology(l.Plan); err != nil {
		t.Fatal(err)
	}
	for _, n := range l.Plan.Nodes {
		for _, netnsName := range []string{n.Netns, n.EndpointNetns} {
			listen(t, netnsName)
		}
	}
	return l
}

// listen accepts connections to endpointPort in a namespace until the test
// ends.
func listen(t *testing.T, netnsName string) {
	t.Helper()
	var ln net.Listener
	err := netspace.In(netnsName, func() error {
		var err error
		ln, err = net.Listen("tcp", fmt.Sprintf("[::]:%d", endpointPort))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
}

// expect connects along every path, in both address families, and compares
// what works with what should.
func expect(t *testing.T, l *Lab, paths []path, works bool) {
	t.Helper()
	timeout := 5 * time.Second // two lost SYNs are made up for: neighbours are still unknown
	if !works {
		timeout = 500 * time.Millisecond
	}
	var g errgroup.Group
	for _, p := range paths {
		from, to, _ := strings.Cut(string(p), " ")
		for _, a := range addressesOf(l.Plan, to) {
			g.Go(func() error {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				c, err := netspace.Dial(l.Plan.Netns(from))(ctx, "tcp", netip.AddrPortFrom(a, endpointPort).String())
				if err == nil {
					c.Close()
				}
				if works != (err == nil) {
					t.Errorf("%s to %s works: %v (%v); want %v", from, a, err == nil, err, works)
				}
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func addressesOf(p Plan, name string) []netip.Addr {
	for _, n := range p.Nodes {
		switch name {
		case n.Name:
			return []netip.Addr{n.Addr4, n.Addr6}
		case n.Name + "-endpoint":
			return []netip.Addr{n.Endpoint4, n.Endpoint6}
		}
	}
	panic("no machine " + name)
}

// The kernel says why new flows die: its counter of drops grows.
func TestFullConntrackTableDrops(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	l := brokenLab(t, cniVXLAN)
	n2, _ := l.Plan.Node("n2")
	if err := l.injectFault(t.Context(), "conntrack-full", "n2"); err != nil {
		t.Fatal(err)
	}
	before := conntrackDrops(t, n2.Netns)
	expect(t, l, []path{"n1 n2"}, false)
	if after := conntrackDrops(t, n2.Netns); after <= before {
		t.Errorf("%d drops before and %d after new flows died; want more", before, after)
	}
}
