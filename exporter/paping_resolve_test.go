package main

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

func TestResolvePaping(t *testing.T) {
	look := func(_ context.Context, host string) (string, []netip.Addr, error) {
		switch host {
		case "www.example.com":
			return "www.l.example.com", []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, nil
		case "six":
			return "six", []netip.Addr{netip.MustParseAddr("2001:db8::6")}, nil
		}
		return "", nil, errors.New("no such host")
	}
	tests := []struct {
		name    string
		options papingOptions
		want    string // as paping shows it; "" means an error
	}{
		{"an address is its own name", papingOptions{Destination: "192.0.2.1"}, "192.0.2.1 192.0.2.1"},
		{"an address in two parts keeps its name", papingOptions{Destination: "127.1"}, "127.1 127.0.0.1"},
		{"an IPv6 address", papingOptions{Destination: "2001:db8::1"}, "2001:db8::1 2001:db8::1"},
		{"an IPv6 address when strict", papingOptions{Destination: "2001:db8::1", Strict: true}, ""},
		{"an alias has another name, and IPv4 comes first", papingOptions{Destination: "www.example.com"}, "www.l.example.com 192.0.2.1"},
		{"IPv6 if asked for", papingOptions{Destination: "www.example.com", Family: 6}, "www.l.example.com 2001:db8::1"},
		{"a name with IPv6 only", papingOptions{Destination: "six"}, "six 2001:db8::6"},
		{"a name with IPv6 only when strict", papingOptions{Destination: "six", Strict: true}, ""},
		{"an IPv4 address when IPv6 is asked for", papingOptions{Destination: "192.0.2.1", Family: 6}, ""},
		{"a name that is not there", papingOptions{Destination: "none"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			host, err := resolvePaping(t.Context(), tt.options, look)
			got := ""
			if err == nil {
				got = host.name + " " + host.addr.String()
			}
			if got != tt.want {
				t.Errorf("resolvePaping() = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestParseDotted(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "127.1": "127.0.0.1", "10.1.2": "10.1.0.2", "2130706433": "127.0.0.1", "010.0.0.1": "8.0.0.1",
		"0": "0.0.0.0", "255.255.255.255": "255.255.255.255", "1.2.65535": "1.2.255.255", "1.16777215": "1.255.255.255",
		"": "", ".": "", "1.": "", "1..2": "", "1.2.3.4.5": "", "256.1": "", "1.2.3.256": "", "1.16777216": "", "08.1": "",
		"0x7f.1": "", "4294967296": "", "-1": "", "1_0": "", "localhost": "",
	} {
		addr, ok := parseDotted(text)
		if got := addr.String(); ok != (want != "") || ok && got != want {
			t.Errorf("parseDotted(%q) = %s, %t; want %q", text, got, ok, want)
		}
	}
}

func FuzzParseDotted(f *testing.F) {
	for _, seed := range []string{"192.0.2.1", "127.1", "010.1", "4294967295", "1.2.3.4.5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseDotted(text)
		if want, err := netip.ParseAddr(text); err == nil && want.Is4() && (!ok || got != want) {
			t.Errorf("parseDotted(%q) = %s, %t; want %s", text, got, ok, want)
		}
	})
}
