package probers

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestAResponderKnowsWhoProbedIt(t *testing.T) {
	key := []byte("secret")
	tests := []struct {
		name  string
		key   []byte // that requests are signed with; nil: a connection instead
		noted bool
	}{
		{"a connection", nil, true},
		{"a packet with the key", key, true},
		{"a packet with another key, whose source may be forged", []byte("guess"), false},
	}
	for _, ip := range families(t) {
		for _, tt := range tests {
			t.Run(ip+", "+tt.name, func(t *testing.T) {
				r := responding(t, ResponderOptions{Key: key})
				start := time.Now()
				if tt.key == nil {
					conn, err := net.Dial("tcp", r.at(ip))
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					// Closing this side is answered once the connection was accepted.
					if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
						t.Fatal(err)
					}
					if _, err := conn.Read(make([]byte, 1)); err != nil {
						t.Fatal(err)
					}
				} else {
					sendRequest(t, r, ip, tt.key)
				}
				want := []netip.Addr(nil)
				if tt.noted {
					want = []netip.Addr{netip.MustParseAddr(ip)}
				}
				if got := r.Sources(start); !slices.Equal(got, want) {
					t.Errorf("Sources() = %v; want %v", got, want)
				}
				if got := r.Sources(start.Add(time.Minute)); len(got) != 0 {
					t.Errorf("Sources() of later = %v; want none", got)
				}
			})
		}
	}
}

// sendRequest sends one request and returns once it was answered, or known to be
// refused.
func sendRequest(t *testing.T, r *Responder, ip string, key []byte) {
	t.Helper()
	conn, err := net.Dial("udp", r.at(ip))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	packet := make([]byte, 256)
	NewUDPCodec(key).Marshal(packet, UDPPacket{Type: UDPRequest, Flow: 1, Sequence: 1})
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s := r.Stats(); s.UDPReplies+s.UDPUnauthenticated == 0; s = r.Stats() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("the request has not arrived in 10 s")
		}
	}
}

func TestSourcesAreBounded(t *testing.T) {
	var s sources
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	start := time.Unix(1000, 0)
	for i := range maxSources + 100 {
		s.note(at(i), start)
	}
	if n := len(s.since(start)); n != maxSources {
		t.Errorf("%d addresses; want at most %d", n, maxSources)
	}
	later := start.Add(sourcesFor + time.Second)
	s.note(at(maxSources), later)
	if got := s.since(later); len(got) != 1 || len(s.seen) != 1 {
		t.Errorf("%v of %d after a minute; want the new one, in the place of the old", got, len(s.seen))
	}
}
