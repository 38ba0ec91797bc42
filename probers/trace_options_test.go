package probers

import (
	"net/netip"
	"testing"
)

func TestSourceOfTraces(t *testing.T) {
	for name, tt := range map[string]struct {
		source string
		ok     bool
	}{
		"an address of this host":        {"127.0.0.1", true},
		"an IPv6 address of this host":   {"::1", true},
		"an address of somebody else":    {"192.0.2.1", false},
		"an IPv6 address of nobody here": {"2001:db8::1", false},
	} {
		t.Run(name, func(t *testing.T) {
			source := netip.MustParseAddr(tt.source)
			if err := (TraceOptions{Source: source}).check(); (err == nil) != tt.ok {
				t.Errorf("check() = %v; want success %v", err, tt.ok)
			}
		})
	}
	o := TraceOptions{Source: netip.MustParseAddr("127.0.0.1")}
	if o.sourceFor(netip.MustParseAddr("::1")).IsValid() || !o.sourceFor(netip.MustParseAddr("10.0.0.1")).IsValid() {
		t.Error("a source address is for its own family")
	}
	if (TraceOptions{}).sourceFor(netip.MustParseAddr("10.0.0.1")).IsValid() {
		t.Error("without a source address the kernel chooses")
	}
}
