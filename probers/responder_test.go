package probers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// responding starts a responder on a free port of loopback, or where opts say.
func responding(t testing.TB, opts ResponderOptions) *Responder {
	t.Helper()
	if opts.Listen == "" {
		opts.Listen = ":0"
	}
	opts.Node, opts.Namespace, opts.Pod, opts.Version = "n2", "podnet", "endpoint-n2", "1.2.3"
	r, err := NewResponder(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run() = %v; want nil when its context ends", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run() did not end within 10 s of its context")
		}
	})
	return r
}

// at returns the responder's address on loopback, in one family.
func (r *Responder) at(ip string) string {
	return netip.AddrPortFrom(netip.MustParseAddr(ip), r.Addr().Port()).String()
}

// families are the loopback addresses that this machine has.
func families(t testing.TB) []string {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Log("without IPv6:", err)
		return []string{"127.0.0.1"}
	}
	l.Close()
	return []string{"127.0.0.1", "::1"}
}

// eventually waits until the counters are what a test wants.
func eventually(t testing.TB, r *Responder, want func(ResponderStats) bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !want(r.Stats()); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("counters are %+v after 10 s", r.Stats())
		}
	}
}

// byBatch runs a test with a responder that deals with everything as it comes,
// and with one that works now and then.
func byBatch(t *testing.T, test func(*testing.T, ResponderOptions)) {
	t.Run("as they come", func(t *testing.T) { test(t, ResponderOptions{}) })
	t.Run("together", func(t *testing.T) { test(t, ResponderOptions{Batch: time.Millisecond}) })
}

const identity = "podnet_exporter node=n2 pod=podnet/endpoint-n2\n"

func TestResponderAnswersText(t *testing.T) { byBatch(t, testResponderAnswersText) }

func testResponderAnswersText(t *testing.T, opts ResponderOptions) {
	tests := []struct {
		name string
		say  func(c *net.TCPConn) error
	}{
		{"to a line", func(c *net.TCPConn) error { _, err := c.Write([]byte("hello\n")); return err }},
		{"to a line with the end of a telnet line", func(c *net.TCPConn) error { _, err := c.Write([]byte("\r\n")); return err }},
		{"to a word of HTTP that is no request", func(c *net.TCPConn) error { _, err := c.Write([]byte("GETTING STARTED\n")); return err }},
		{"to the beginning of a method and no more", func(c *net.TCPConn) error {
			_, err := c.Write([]byte("GE"))
			return errorOr(err, c.CloseWrite())
		}},
		{"to a half-close", func(c *net.TCPConn) error { return c.CloseWrite() }},
		{"to a text without an end and a half-close", func(c *net.TCPConn) error {
			_, err := c.Write([]byte("hello"))
			return errorOr(err, c.CloseWrite())
		}},
		{"to a line that is too long", func(c *net.TCPConn) error {
			_, err := c.Write([]byte(strings.Repeat("x", 5000) + "\n"))
			return err
		}},
	}
	r := responding(t, opts)
	for _, tt := range tests {
		for _, ip := range families(t) {
			t.Run(tt.name+" over "+ip, func(t *testing.T) {
				c, err := net.Dial("tcp", r.at(ip))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				if err := tt.say(c.(*net.TCPConn)); err != nil {
					t.Fatal(err)
				}
				got, err := bufio.NewReader(c).ReadString('\n')
				if err != nil || got != identity {
					t.Errorf("answer = %q, %v; want %q", got, err, identity)
				}
			})
		}
	}
}

func errorOr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func TestResponderAnswersHTTP(t *testing.T) { byBatch(t, testResponderAnswersHTTP) }

func testResponderAnswersHTTP(t *testing.T, opts ResponderOptions) {
	r := responding(t, opts)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, ip := range families(t) {
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
			t.Run(method+" over "+ip, func(t *testing.T) {
				req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.at(ip)+"/any/path", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if node, pod := resp.Header.Get("X-Podnet-Node"), resp.Header.Get("X-Podnet-Pod"); node != "n2" || pod != "podnet/endpoint-n2" {
					t.Errorf("headers say node %q and pod %q", node, pod)
				}
				if method == "HEAD" {
					return
				}
				var got map[string]string
				if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
					t.Fatal(err)
				}
				want := map[string]string{"node": "n2", "namespace": "podnet", "pod": "endpoint-n2", "version": "1.2.3"}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestResponderTakesHandshakesThatSayNothing(t *testing.T) {
	byBatch(t, testResponderTakesHandshakesThatSayNothing)
}

func testResponderTakesHandshakesThatSayNothing(t *testing.T, opts ResponderOptions) {
	tests := []struct {
		name   string
		linger int // of the client
	}{
		{"reset at once, as probes do", 0},
		{"closed at once", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := responding(t, opts)
			const probes = 500
			for range probes {
				c, err := net.Dial("tcp", r.at("127.0.0.1"))
				if err != nil {
					t.Fatal(err)
				}
				c.(*net.TCPConn).SetLinger(tt.linger)
				c.Close()
			}
			eventually(t, r, func(s ResponderStats) bool {
				return s.Connections == probes && s.Silent+s.Texts == probes
			})
		})
	}
}

func TestResponderKeepsSilentConnectionsWithoutGoroutines(t *testing.T) {
	byBatch(t, testResponderKeepsSilentConnectionsWithoutGoroutines)
}

func testResponderKeepsSilentConnectionsWithoutGoroutines(t *testing.T, opts ResponderOptions) {
	r := responding(t, opts)
	before := runtime.NumGoroutine()
	var open []net.Conn
	for range 200 {
		c, err := net.Dial("tcp", r.at("127.0.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	eventually(t, r, func(s ResponderStats) bool { return s.Connections == uint64(len(open)) })
	if after := runtime.NumGoroutine(); after > before+5 {
		t.Errorf("%d goroutines for %d silent connections", after-before, len(open))
	}
	// One of them speaks after all.
	fmt.Fprintln(open[100], "hello")
	open[100].SetDeadline(time.Now().Add(10 * time.Second))
	if got, err := bufio.NewReader(open[100]).ReadString('\n'); err != nil || got != identity {
		t.Errorf("answer = %q, %v; want %q", got, err, identity)
	}
	// The others are closed when they stay silent.
	open[0].SetDeadline(time.Now().Add(4 * waitTime))
	if _, err := open[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a silent connection ended with %v; want the end of the stream", err)
	}
	eventually(t, r, func(s ResponderStats) bool { return s.Silent > 0 })
}

func TestResponderListensWithTheLargestBacklog(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Skip(err)
	}
	var limit uint32
	fmt.Sscan(string(text), &limit)
	r := responding(t, ResponderOptions{})
	info, err := unix.GetsockoptTCPInfo(r.gate.listener, unix.SOL_TCP, unix.TCP_INFO)
	if err != nil {
		t.Fatal(err)
	}
	if info.Sacked != limit { // of a listening socket: its backlog (tcp(7))
		t.Errorf("backlog = %d; want net.core.somaxconn = %d", info.Sacked, limit)
	}
}

// exchange sends packets to a responder and returns what comes back to the
// last one, which is told by its sequence.
func exchange(t *testing.T, c net.Conn, codec *UDPCodec, p UDPPacket, size int) (UDPPacket, int) {
	t.Helper()
	b := make([]byte, size)
	codec.Marshal(b, p)
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 65536)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	n, err := c.Read(got)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := codec.Parse(got[:n])
	if err != nil {
		t.Fatal(err)
	}
	return reply, n
}

func TestResponderEchoesPacketsOfTheCluster(t *testing.T) {
	byBatch(t, testResponderEchoesPacketsOfTheCluster)
}

func testResponderEchoesPacketsOfTheCluster(t *testing.T, opts ResponderOptions) {
	opts.Key = []byte("secret")
	r := responding(t, opts)
	codec := NewUDPCodec([]byte("secret"))
	for i, ip := range families(t) {
		for _, size := range []int{UDPHeaderSize, 1400, 20000} {
			t.Run(fmt.Sprintf("%d bytes over %s", size, ip), func(t *testing.T) {
				c, err := net.Dial("udp", r.at(ip))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				flow := uint64(i*100_000 + size)
				for sequence := uint64(1); sequence <= 3; sequence++ {
					before := time.Now().UnixNano()
					got, n := exchange(t, c, codec, UDPPacket{Type: UDPRequest, Flow: flow, Sequence: sequence, Sent: 99}, size)
					after := time.Now().UnixNano()
					if n != size {
						t.Errorf("reply has %d bytes; want those of the request, %d", n, size)
					}
					// The kernel's clock and ours are one here.
					if got.ReceivedAt < before || got.RepliedAt < got.ReceivedAt || after < got.RepliedAt {
						t.Errorf("times are out of order: %d <= %d <= %d <= %d", before, got.ReceivedAt, got.RepliedAt, after)
					}
					got.ReceivedAt, got.RepliedAt = 0, 0
					want := UDPPacket{
						Type: UDPReply, Flow: flow, Sequence: sequence, Sent: 99,
						Received: sequence, Identity: UDPIdentity("n2", "podnet", "endpoint-n2"),
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("reply (-want +got):\n%s", diff)
					}
				}
			})
		}
	}
}

func TestResponderIgnoresStrangers(t *testing.T) { byBatch(t, testResponderIgnoresStrangers) }

func testResponderIgnoresStrangers(t *testing.T, opts ResponderOptions) {
	opts.Key = []byte("secret")
	r := responding(t, opts)
	c, err := net.Dial("udp", r.at("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ours, theirs := NewUDPCodec([]byte("secret")), NewUDPCodec([]byte("guess"))
	send := func(codec *UDPCodec, kind UDPType) {
		b := make([]byte, UDPHeaderSize)
		codec.Marshal(b, UDPPacket{Type: kind, Flow: 1})
		c.Write(b)
	}
	c.Write(nil)
	c.Write([]byte("hello"))
	c.Write(make([]byte, 2000))
	send(ours, UDPReply) // two responders must not talk to each other
	send(theirs, UDPRequest)
	// The first thing that comes back is the answer to this.
	got, _ := exchange(t, c, ours, UDPPacket{Type: UDPRequest, Flow: 2, Sequence: 5}, UDPHeaderSize)
	if got.Flow != 2 || got.Sequence != 5 || got.Received != 1 {
		t.Errorf("first answer = %+v; want that of flow 2", got)
	}
	want := ResponderStats{UDPReplies: 1, UDPMalformed: 4, UDPUnauthenticated: 1}
	eventually(t, r, func(s ResponderStats) bool { return s == want })
}

func TestResponderKeepsToItsRate(t *testing.T) { byBatch(t, testResponderKeepsToItsRate) }

func testResponderKeepsToItsRate(t *testing.T, opts ResponderOptions) {
	opts.Key, opts.MaxReplies = []byte("secret"), 1
	r := responding(t, opts)
	c, err := net.Dial("udp", r.at("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	codec := NewUDPCodec([]byte("secret"))
	const sent = udpBurst + 200
	for i := range uint64(sent) {
		b := make([]byte, UDPHeaderSize)
		codec.Marshal(b, UDPPacket{Type: UDPRequest, Flow: 1, Sequence: i})
		c.Write(b)
		// No more at once than the socket's buffer holds.
		eventually(t, r, func(s ResponderStats) bool { return s.UDPReplies+s.UDPLimited == i+1 })
	}
	if s := r.Stats(); s.UDPReplies < udpBurst || s.UDPReplies > udpBurst+20 {
		t.Errorf("%d of %d packets were answered; want about %d", s.UDPReplies, sent, udpBurst)
	}
}

func TestResponderWithoutAKeyAnswersNoUDP(t *testing.T) {
	r := responding(t, ResponderOptions{})
	if r.UDP() {
		t.Error("UDP() = true without a key")
	}
	if c, err := net.ListenPacket("udp", r.at("127.0.0.1")); err != nil {
		t.Errorf("the UDP port is taken: %v", err)
	} else {
		c.Close()
	}
}

func TestResponderSaysThatThePortIsTaken(t *testing.T) {
	r := responding(t, ResponderOptions{})
	_, err := NewResponder(ResponderOptions{Listen: fmt.Sprintf(":%d", r.Addr().Port())})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("NewResponder() = %v; want that the address is in use", err)
	}
}

func TestFlowCountsAreBounded(t *testing.T) {
	f := newFlowCounts(100)
	for range 3 {
		f.add(1)
	}
	for flow := uint64(1000); flow < 2000; flow++ {
		f.add(flow)
		if got := f.add(1); got != flow-1000+4 {
			t.Fatalf("a flow that is seen all the time counts %d; want %d", got, flow-1000+4)
		}
		if n := len(f.young) + len(f.old); n > 100 {
			t.Fatalf("%d flows are kept; want at most 100", n)
		}
	}
	if got := f.add(1000); got != 1 {
		t.Errorf("a flow that was forgotten counts %d; want 1", got)
	}
}

func TestReadKeyFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name, path, want, err string
	}{
		{"white space around it is not part of the key", write("key", "\n  se cret\n\n"), "se cret", ""},
		{"no path is no key", "", "", ""},
		{"an empty file is a mistake", write("empty", " \n"), "", "is empty; put the same random text"},
		{"a file that is not there is a mistake", filepath.Join(dir, "missing"), "", "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key, err := ReadKeyFile(tt.path)
			if string(key) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("ReadKeyFile() = %q, %v; want %q, %q", key, err, tt.want, tt.err)
			}
		})
	}
}

func FuzzUDPControl(f *testing.F) {
	f.Add(make([]byte, 64))
	f.Add([]byte{32, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 35, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, b []byte) { udpControl(b) })
}

// BenchmarkResponderHandshake measures both ends of a handshake probe on one
// machine; the responder's part is what it costs the endpoint.
func BenchmarkResponderHandshake(b *testing.B) {
	r := responding(b, ResponderOptions{Listen: "127.0.0.1:0"})
	to := r.at("127.0.0.1")
	for b.Loop() {
		c, err := net.Dial("tcp", to)
		if err != nil {
			b.Fatal(err)
		}
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}
