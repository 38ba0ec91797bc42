package probers

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// request4 and request6 are echo requests of an engine as a router sees them.
func request4(number uint64) []byte {
	b := make([]byte, 84)
	b[0], b[8], b[9] = 0x45, 64, protocolICMP4
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], []byte{10, 9, 0, 1, 10, 9, 0, 2})
	fillPattern(b[ipv4Header:])
	writeEcho(b[ipv4Header:], false, 0x1234, 0xdeadbeef, number)
	return b
}

func request6(number uint64) []byte {
	b := make([]byte, 104)
	b[0], b[6], b[7] = 0x60, protocolICMP6, 64
	b[8], b[23], b[24], b[39] = 0xfd, 1, 0xfd, 2
	fillPattern(b[ipv6Header:])
	writeEcho(b[ipv6Header:], true, 0x1234, 0xdeadbeef, number)
	return b
}

func reply4(number uint64) []byte {
	b := request4(number)
	b[ipv4Header] = echoReply4
	return b
}

func reply6(number uint64) []byte {
	b := request6(number)[ipv6Header:]
	b[0] = echoReply6
	return b
}

func error4(kind, code uint8, quote int) []byte {
	b := append(reply4(0)[:ipv4Header], kind, code, 0, 0, 0, 0, 0x05, 0x78)
	return append(b, request4(77)[:quote]...)
}

func error6(kind, code uint8, quote int) []byte {
	return append([]byte{kind, code, 0, 0, 0, 0, 0x05, 0x78}, request6(77)[:quote]...)
}

func TestParseICMP(t *testing.T) {
	tests := []struct {
		name  string
		parse func([]byte) (icmpMessage, bool)
		b     []byte
		reply bool
		err   uint8
		mtu   int
		whole bool // the payload is there
	}{
		{name: "IPv4 reply", parse: parseICMP4, b: reply4(77), reply: true, whole: true},
		{name: "IPv6 reply", parse: parseICMP6, b: reply6(77), reply: true, whole: true},
		{name: "IPv4 unreachable with all of the packet", parse: parseICMP4, b: error4(3, 1, 84), err: 3, whole: true},
		{name: "IPv4 frag needed with 8 bytes of ICMP", parse: parseICMP4, b: error4(3, 4, 28), err: 3, mtu: 1400},
		{name: "IPv6 packet too big", parse: parseICMP6, b: error6(2, 0, 104), err: 2, mtu: 1400, whole: true},
		{name: "IPv6 time exceeded", parse: parseICMP6, b: error6(3, 0, 104), err: 3, whole: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, ok := tt.parse(tt.b)
			if !ok || m.reply != tt.reply || m.error.Type != tt.err || m.error.MTU != tt.mtu || m.id != 0x1234 || m.sequence != 77 {
				t.Fatalf("parse = %+v, %t", m, ok)
			}
			cookie, number, ok := stampOf(m.payload)
			if ok != tt.whole || ok && (cookie != 0xdeadbeef || number != 77 || !patternHolds(m.payload)) {
				t.Errorf("payload % x", m.payload)
			}
			for i := range tt.b { // cut short anywhere
				tt.parse(tt.b[:i])
			}
		})
	}
}

func FuzzParseICMP4(f *testing.F) {
	for _, b := range [][]byte{reply4(1), error4(3, 1, 84), error4(3, 4, 28), error4(11, 0, 48), error4(12, 0, 28), {0x4f}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkParsed(t, b, parseICMP4) })
}

func FuzzParseICMP6(f *testing.F) {
	for _, b := range [][]byte{reply6(1), error6(1, 4, 104), error6(2, 0, 48), error6(3, 0, 104), error6(4, 1, 60)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkParsed(t, b, parseICMP6) })
}

func checkParsed(t *testing.T, b []byte, parse func([]byte) (icmpMessage, bool)) {
	m, ok := parse(b)
	if !ok {
		return
	}
	if m.reply == m.to.IsValid() || len(m.payload) > len(b)-icmpHeader {
		t.Errorf("parse(% x) = %+v", b, m)
	}
	stampOf(m.payload)
	patternHolds(m.payload)
	reasonOfICMP(m.error, m.to.Is6())
}

func FuzzParseControl(f *testing.F) {
	f.Add(make([]byte, 16))
	f.Add(append([]byte{64, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 37, 0, 0, 0}, make([]byte, 48)...))
	f.Add(append([]byte{48, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0}, make([]byte, 32)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := parseControl(b)
		offender(c.from)
	})
}

// withExtensions returns an ICMP header, 128 bytes of an original datagram, and
// extensions with the given objects. length is what the header says of the
// datagram's length; 0 is nothing, as of routers before RFC 4884.
func withExtensions(header []byte, lengthAt int, length byte, objects ...byte) []byte {
	b := append(header[:icmpHeader:icmpHeader], make([]byte, quotedAtLeast)...)
	b[lengthAt] = length
	extension := append([]byte{0x20, 0, 0, 0}, objects...)
	binary.BigEndian.PutUint16(extension[2:], checksum(extension))
	return append(b, extension...)
}

func TestParseMPLS(t *testing.T) {
	header4, header6 := []byte{timeExceeded4, 0, 0, 0, 0, 0, 0, 0}, []byte{timeExceeded6, 0, 0, 0, 0, 0, 0, 0}
	stack := []byte{0, 12, mplsClass, incomingStack, 0x05, 0xdc, 0xf0, 1, 0, 1, 0x0b, 0xff}
	want := []MPLSLabel{{Label: 24015, TTL: 1}, {Label: 16, Class: 5, Bottom: true, TTL: 255}}
	another := []byte{0, 8, 2, 1, 1, 2, 3, 4}
	broken := withExtensions(header4, 5, 32, stack...)
	broken[len(broken)-1]++
	unsummed := withExtensions(header4, 5, 32, stack...)
	unsummed[8+128+2], unsummed[8+128+3] = 0, 0
	tests := []struct {
		name string
		b    []byte
		is6  bool
		want []MPLSLabel
	}{
		{"IPv4", withExtensions(header4, 5, 32, stack...), false, want},
		{"IPv6", withExtensions(header6, 4, 16, stack...), true, want},
		{"a router that does not say where the extensions begin", withExtensions(header4, 5, 0, stack...), false, want},
		{"behind another object", withExtensions(header4, 5, 32, append(another, stack...)...), false, want},
		{"another object only", withExtensions(header4, 5, 32, another...), false, nil},
		{"no checksum", unsummed, false, want},
		{"a wrong checksum", broken, false, nil},
		{"no extensions", append(header4, make([]byte, 200)...), false, nil},
		{"a datagram that is too short to be followed by any", withExtensions(header4, 5, 7, stack...), false, nil},
		{"a length beyond the packet", withExtensions(header4, 5, 255, stack...), false, nil},
		{"an object that is longer than the packet", withExtensions(header4, 5, 32, 0, 200, 1, 1), false, nil},
		{"an object without a length", withExtensions(header4, 5, 32, 0, 0, 1, 1), false, nil},
		{"nothing", nil, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parseMPLS(tt.b, tt.is6)); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			for i := range tt.b { // cut short anywhere
				parseMPLS(tt.b[:i], tt.is6)
			}
		})
	}
}

func FuzzParseMPLS(f *testing.F) {
	stack := []byte{0, 12, mplsClass, incomingStack, 0x05, 0xdc, 0xf0, 1, 0, 1, 0x0b, 0xff}
	f.Add(withExtensions([]byte{timeExceeded4, 0, 0, 0, 0, 0, 0, 0}, 5, 32, stack...), false)
	f.Add(withExtensions([]byte{timeExceeded6, 0, 0, 0, 0, 0, 0, 0}, 4, 16, stack...), true)
	f.Add(withExtensions([]byte{timeExceeded4, 0, 0, 0, 0, 0, 0, 0}, 5, 0, append([]byte{0, 4, 2, 1}, stack...)...), false)
	f.Fuzz(func(t *testing.T, b []byte, is6 bool) {
		labels := parseMPLS(b, is6)
		if len(labels) > mostLabels {
			t.Errorf("%d labels", len(labels))
		}
		for _, l := range labels {
			if l.Label >= 1<<20 || l.Class > 7 {
				t.Errorf("label %+v", l)
			}
		}
	})
}
