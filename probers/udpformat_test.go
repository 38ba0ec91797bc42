package probers

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var sampleUDP = UDPPacket{
	Type: UDPReply, Flow: 0x0102030405060708, Sequence: 7, Sent: -1,
	Received: 6, ReceivedAt: 1_700_000_000_000_000_000, RepliedAt: 1_700_000_000_000_001_000, Identity: 42, State: UDPDraining,
}

func TestUDPPacketsComeBackAsTheyWere(t *testing.T) {
	for _, size := range []int{UDPHeaderSize, UDPHeaderSize + 1, 1400, 65507} {
		b := bytes.Repeat([]byte{0xa5}, size)
		NewUDPCodec([]byte("key")).Marshal(b, sampleUDP)
		got, err := NewUDPCodec([]byte("key")).Parse(b)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if diff := cmp.Diff(sampleUDP, got); diff != "" {
			t.Errorf("%d bytes (-want +got):\n%s", size, diff)
		}
		if !bytes.Equal(b[UDPHeaderSize:], bytes.Repeat([]byte{0xa5}, size-UDPHeaderSize)) {
			t.Errorf("%d bytes: the padding was changed", size)
		}
	}
}

func TestUDPPacketsThatAreNotTaken(t *testing.T) {
	tests := []struct {
		name   string
		change func(b []byte) []byte
		want   error
	}{
		{"empty", func([]byte) []byte { return nil }, ErrUDPMalformed},
		{"shorter than a header", func(b []byte) []byte { return b[:UDPHeaderSize-1] }, ErrUDPMalformed},
		{"another magic", func(b []byte) []byte { b[0] = 'X'; return b }, ErrUDPMalformed},
		{"another version", func(b []byte) []byte { b[4] = 2; return b }, ErrUDPMalformed},
		{"unknown type", func(b []byte) []byte { b[5] = 3; return b }, ErrUDPMalformed},
		{"unknown state", func(b []byte) []byte { b[6] = 3; return b }, ErrUDPMalformed},
		{"another state", func(b []byte) []byte { b[6] = byte(UDPCordoned); return b }, ErrUDPKey},
		{"a request with a state", func(b []byte) []byte {
			NewUDPCodec([]byte("key")).Marshal(b, UDPPacket{Type: UDPRequest, State: UDPCordoned})
			return b
		}, ErrUDPMalformed},
		{"reserved bits set", func(b []byte) []byte { b[7] = 1; return b }, ErrUDPMalformed},
		{"another type", func(b []byte) []byte { b[5], b[6] = byte(UDPRequest), 0; return b }, ErrUDPKey},
		{"a bit of a number changed", func(b []byte) []byte { b[20] ^= 1; return b }, ErrUDPKey},
		{"a bit of the padding changed", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, ErrUDPKey},
		{"padding cut off", func(b []byte) []byte { return b[:len(b)-1] }, ErrUDPKey},
		{"padding added", func(b []byte) []byte { return append(b, 0) }, ErrUDPKey},
		{"a bit of the signature changed", func(b []byte) []byte { b[udpMACAt] ^= 1; return b }, ErrUDPKey},
		{"made with another key", func(b []byte) []byte { NewUDPCodec([]byte("other")).Marshal(b, sampleUDP); return b }, ErrUDPKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewUDPCodec([]byte("key"))
			b := make([]byte, 100)
			c.Marshal(b, sampleUDP)
			if _, err := c.Parse(tt.change(b)); !errors.Is(err, tt.want) {
				t.Errorf("Parse() = %v; want %v", err, tt.want)
			}
		})
	}
}

func TestUDPIdentitiesDiffer(t *testing.T) {
	seen := map[uint64][]string{}
	for _, who := range [][]string{{"n1", "", ""}, {"n2", "", ""}, {"n1", "a", "b"}, {"n1", "ab", ""}, {"n1", "", "ab"}, {"n1a", "", "b"}} {
		id := UDPIdentity(who[0], who[1], who[2])
		if other, ok := seen[id]; ok {
			t.Errorf("%v and %v have one identity", who, other)
		}
		seen[id] = who
	}
}

func FuzzUDPParse(f *testing.F) {
	b := make([]byte, 100)
	NewUDPCodec([]byte("key")).Marshal(b, sampleUDP)
	f.Add(b)
	f.Add([]byte("PNET"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := NewUDPCodec([]byte("key"))
		if p, err := c.Parse(b); err == nil {
			again := bytes.Clone(b)
			c.Marshal(again, p)
			if !bytes.Equal(again, b) {
				t.Errorf("% x was taken, and is % x when written again", b, again)
			}
		}
		// Whatever it holds, it is read the same way once it is signed.
		if len(b) < UDPHeaderSize {
			return
		}
		c.Marshal(b, sampleUDP)
		if p, err := c.Parse(b); err != nil || p != sampleUDP {
			t.Errorf("Parse() of a good packet = %+v, %v", p, err)
		}
	})
}

func BenchmarkUDPCodec(b *testing.B) {
	c := NewUDPCodec([]byte("key"))
	packet := make([]byte, UDPHeaderSize)
	b.ReportAllocs()
	for b.Loop() {
		c.Marshal(packet, sampleUDP)
		if _, err := c.Parse(packet); err != nil {
			b.Fatal(err)
		}
	}
}
