package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// TestOddMTUsAreMended changes MTUs and compares those of the node and its pods
// with what they were.
func TestOddMTUsAreMended(t *testing.T) {
	for _, cni := range []string{cniVXLAN, cniRouted} {
		for id, want := range map[string][]string{
			"mtu-mismatch":     map[string][]string{cniVXLAN: {"n2 flannel-v6.1", "n2 flannel.1"}, cniRouted: {"n2 cali-endpoint", "n2-endpoint eth0"}}[cni],
			"mtu-mismatch-pod": {"n2-app eth0"},
		} {
			t.Run(id+" "+cni, func(t *testing.T) {
				l := brokenLab(t, cni)
				before := mtus(t, l)
				if err := l.injectFault(t.Context(), id, ""); err != nil {
					t.Fatal(err)
				}
				var odd []string
				for device, mtu := range mtus(t, l) {
					if mtu == before[device]-mtuDifference {
						odd = append(odd, device)
					}
				}
				slices.Sort(odd)
				if diff := cmp.Diff(want, odd); diff != "" {
					t.Errorf("devices that are %d smaller (-want +got):\n%s", mtuDifference, diff)
				}
				if err := l.clearFaults(t.Context()); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(before, mtus(t, l)); diff != "" {
					t.Errorf("mended (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// mtus returns the MTU of every device of n2 and its pods, "n2-app eth0".
func mtus(t *testing.T, l *Lab) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, name := range []string{"n2", "n2-endpoint", "n2-app"} {
		h, err := netspace.Netlink(l.Plan.Prefix + name)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		links, err := h.LinkList()
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			all[name+" "+link.Attrs().Name] = link.Attrs().MTU
		}
	}
	return all
}
