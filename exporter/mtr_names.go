package main

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// mtrNames finds the names of addresses, in the background.
type mtrNames struct {
	ctx    context.Context
	on     bool
	look   func(ctx context.Context, addr string) ([]string, error)
	mu     sync.Mutex
	names  map[netip.Addr]string // "" while it is being looked up, or if there is none
	asking sync.WaitGroup
}

// mtrNameTimeout is how long a name is looked up for.
const mtrNameTimeout = 3 * time.Second

// newMtrNames returns names that are looked up until ctx ends, or, if not on,
// none.
func newMtrNames(ctx context.Context, on bool) *mtrNames {
	return &mtrNames{ctx: ctx, on: on, look: net.DefaultResolver.LookupAddr, names: make(map[netip.Addr]string)}
}

// ask has the name of an address looked up, unless it was before.
func (n *mtrNames) ask(addr netip.Addr) {
	if !n.on {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, asked := n.names[addr]; asked {
		return
	}
	n.names[addr] = ""
	n.asking.Go(func() {
		ctx, cancel := context.WithTimeout(n.ctx, mtrNameTimeout)
		defer cancel()
		found, err := n.look(ctx, addr.String())
		if err != nil || len(found) == 0 {
			return
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.names[addr] = strings.TrimSuffix(found[0], ".")
	})
}

// of returns the name of an address, "" if it is not known.
func (n *mtrNames) of(addr netip.Addr) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names[addr]
}

// wait waits until all names were found or given up.
func (n *mtrNames) wait(ctx context.Context) {
	if ctx.Err() == nil {
		n.asking.Wait()
	}
}

// show returns how an address is shown: its name, with the address behind it
// if that is wanted too; the address if it has no name; "???" if there is none.
func (n *mtrNames) show(addr netip.Addr, both string) string {
	if !addr.IsValid() {
		return "???"
	}
	name := n.of(addr)
	switch {
	case name == "":
		return addr.String()
	case both != "":
		return strings.NewReplacer("NAME", name, "ADDRESS", addr.String()).Replace(both)
	}
	return name
}

// label is how most modes show the address of a hop.
func (r *mtrRun) label(addr netip.Addr) string {
	both := ""
	if r.options.ShowIPs {
		both = "NAME (ADDRESS)"
	}
	return r.names.show(addr, both)
}
