package probers

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTracePacketsCarryPatternAndClass reads what leaves.
func TestTracePacketsCarryPatternAndClass(t *testing.T) {
	eachTrace(t, func(t *testing.T, kind Kind, e *Engine, d tun, to string) {
		pattern := byte(0xa5)
		e.Trace = TraceOptions{TOS: 0xb8, Pattern: &pattern}
		p := traceTo(1, kind, to, 3, 0)
		p.Size = 200
		e.Send(p)
		b := d.trace(t)
		class := b[1]
		if b[0]>>4 == 6 {
			class = b[0]<<4 | b[1]>>4
		}
		if class != 0xb8 || !intact(b) {
			t.Errorf("class %#x, checksum right %t; want 0xb8 and right: % x", class, intact(b), b)
		}
		if kind == TraceTCP {
			return
		}
		if len(b) != 200 {
			t.Errorf("%d bytes; want 200", len(b))
		}
		for i, c := range segmentOf(b)[minICMP:] {
			if c != pattern {
				t.Fatalf("byte %d of the payload is %#x; want %#x", probeStamp+i, c, pattern)
			}
		}
	})
}

func TestRepliesMustHaveThePattern(t *testing.T) {
	tests := []struct {
		name   string
		change func(icmp []byte)
		want   Reason
	}{
		{"intact", nil, OK},
		{"one byte is another", func(icmp []byte) { icmp[len(icmp)-1]++ }, BadReply},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bothFamilies(t, func(t *testing.T, e *Engine, d tun, to string) {
				var pattern byte
				e.Trace.Pattern = &pattern
				e.Send(traceTo(1, ICMP, to, 30, 0))
				d.write(t, answer(d.request(t), tt.change))
				if got := next(t, e); len(got) != 1 || got[0].Reason != tt.want {
					t.Errorf("got %+v; want %q", got, tt.want)
				}
			})
		})
	}
}

// TestARouterTellsOfLabels answers as a router of an MPLS network does.
func TestARouterTellsOfLabels(t *testing.T) {
	eachTrace(t, func(t *testing.T, kind Kind, e *Engine, d tun, to string) {
		e.Send(traceTo(1, kind, to, 2, 0))
		d.write(t, withLabels(exceeded(d.trace(t), 24)))
		got := next(t, e)
		want := []MPLSLabel{{Label: 24015, TTL: 1}, {Label: 16, Class: 5, Bottom: true, TTL: 255}}
		if len(got) != 1 || got[0].Reason != TTLExceeded {
			t.Fatalf("got %+v; want one answer", got)
		}
		if diff := cmp.Diff(want, got[0].MPLS); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
	})
}

// withLabels adds a label stack to an ICMP error.
func withLabels(packet []byte) []byte {
	header := len(packet) - len(segmentOf(packet))
	lengthAt, length := 5, byte(32)
	if packet[0]>>4 == 6 {
		lengthAt, length = 4, 16
	}
	message := segmentOf(packet)
	padded := append([]byte(nil), message...)
	padded = append(padded, make([]byte, icmpHeader+quotedAtLeast-len(message))...)
	padded[lengthAt] = length
	extension := []byte{0x20, 0, 0, 0, 0, 12, mplsClass, incomingStack, 0x05, 0xdc, 0xf0, 1, 0, 1, 0x0b, 0xff}
	binary.BigEndian.PutUint16(extension[2:], checksum(extension))
	b := append(append(packet[:header:header], padded...), extension...)
	if b[0]>>4 == 4 {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[10:], 0)
		binary.BigEndian.PutUint16(b[10:], checksum(b[:ipv4Header]))
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6Header))
	}
	seal(b)
	return b
}
