package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// emptyNamespace returns a network namespace with what f makes in it. It is
// gone with the test.
func emptyNamespace(t *testing.T, f func() error) vnetns.NsHandle {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	var ns vnetns.NsHandle
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		made <- func() (err error) {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			if ns, err = vnetns.GetFromPath("/proc/thread-self/ns/net"); err != nil {
				return err
			}
			return f()
		}()
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// addressed sets a device up with an address.
func addressed(device, prefix string) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(prefix)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, addr); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// behindARouter returns a path to the namespace of a host that reaches
// 10.9.9.0/24 by the router 10.9.0.2. Nobody is there.
func behindARouter(t *testing.T) string {
	t.Helper()
	router := emptyNamespace(t, func() error {
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "away"}}); err != nil {
			return err
		}
		if err := addressed("away", "10.9.9.1/24"); err != nil {
			return err
		}
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
	})
	host := emptyNamespace(t, func() error {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(router))}
		if err := netlink.LinkAdd(pair); err != nil {
			return err
		}
		if err := addressed("eth0", "10.9.0.1/24"); err != nil {
			return err
		}
		if err := vnetns.Set(router); err != nil {
			return err
		}
		return addressed("eth0", "10.9.0.2/24")
	})
	h, err := netlink.NewHandleAt(host)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	_, away, _ := net.ParseCIDR("10.9.9.0/24")
	if err := h.RouteAdd(&netlink.Route{Dst: away, Gw: net.ParseIP("10.9.0.2")}); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(host))
}

func TestProbeWithATTL(t *testing.T) {
	inside := behindARouter(t)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	const exceeded = "ttl_exceeded: 10.9.0.2 says the time to live ran out there: a low --ttl, or a routing loop (ICMP type 11 code 0)"
	tests := []struct{ name, args, want string }{
		{"ICMP that ends at the router", "icmp 10.9.9.7 --ttl 1", exceeded},
		{"ICMP that gets past it", "icmp 10.9.9.7 --ttl 2 -t 200ms", "timeout: nothing came back from 10.9.9.7 within 200ms"},
		{"UDP that ends at the router", "udp 10.9.9.7 --ttl 1 --key-file " + file, exceeded},
		{"UDP that gets past it", "udp 10.9.9.7 --ttl 2 -t 200ms --key-file " + file, "timeout: nothing came back from 10.9.9.7 within 200ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"probe"}, strings.Fields(tt.args+" -c 1 --netns "+inside)...)
			code, stdout, stderr := ran(t, program(t, "podnet_exporter", args...))
			first, _, _ := strings.Cut(stdout, "\n")
			if code != 1 || stderr != "" || first != "1 "+tt.want {
				t.Errorf("exit code %d, stderr %q, says %q; want 1 and %q", code, stderr, first, tt.want)
			}
		})
	}
}
