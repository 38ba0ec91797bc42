// Package netspace makes and removes named network namespaces, and does things
// inside them.
package netspace

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/google/nftables"
	mdnetlink "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Dir is where named namespaces are bound, the place that iproute2 uses.
const Dir = "/run/netns"

// Path returns where the named namespace is bound.
func Path(name string) string { return filepath.Join(Dir, name) }

// Close lets go of a namespace. It can only fail for a handle that is not
// open.
func Close(h netns.NsHandle) { _ = h.Close() }

// Open returns the named namespace. The caller ends it with Close.
func Open(name string) (netns.NsHandle, error) {
	ns, err := netns.GetFromName(name)
	if err != nil {
		return ns, fmt.Errorf("network namespace %s: %w", name, err)
	}
	return ns, nil
}

// In runs f on a thread inside the named namespace and returns f's error.
// Sockets and processes that f makes stay in the namespace. f must not start
// goroutines that count on being inside.
func In(name string, f func() error) error {
	target, err := Open(name)
	if err != nil {
		return err
	}
	defer Close(target)
	errs := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			errs <- fmt.Errorf("network namespace: %w", err)
			return // still locked: the thread ends with the goroutine
		}
		defer Close(home)
		if err := netns.Set(target); err != nil {
			runtime.UnlockOSThread()
			errs <- fmt.Errorf("enter network namespace %s: %w", name, err)
			return
		}
		err = f()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		errs <- err
	}()
	return <-errs
}

// Netlink returns a rtnetlink handle inside the named namespace. The caller
// closes it.
func Netlink(name string) (*netlink.Handle, error) {
	ns, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer Close(ns)
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink in %s: %w", name, err)
	}
	return h, nil
}

// Nft returns a connection to nftables inside the named namespace. The
// caller ends it with CloseLasting.
func Nft(name string) (*nftables.Conn, error) {
	ns, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer Close(ns)
	// The kernel answers each message of a batch; the default buffer does not
	// hold the answers to a node's services.
	buffer := nftables.WithSockOptions(func(c *mdnetlink.Conn) error { return c.SetReadBuffer(4 << 20) })
	conn, err := nftables.New(nftables.WithNetNSFd(int(ns)), nftables.AsLasting(), buffer)
	if err != nil {
		return nil, fmt.Errorf("nftables in %s: %w", name, err)
	}
	return conn, nil
}

// WriteSysctl sets a setting inside the named namespace. The path is below
// /proc/sys, for example "net/ipv4/ip_forward".
func WriteSysctl(netnsName, path, value string) error {
	return In(netnsName, func() error { return SetSysctl(path, value) })
}

// SetSysctl sets a setting of the calling thread's namespace.
func SetSysctl(path, value string) error {
	if err := os.WriteFile(filepath.Join("/proc/sys", path), []byte(value), 0o644); err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", path, value, err)
	}
	return nil
}
