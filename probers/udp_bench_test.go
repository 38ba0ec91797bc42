package probers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// BenchmarkUDP has fping beside it in the same run. A UDP probe is answered by
// a process, which the kernel has to wake up at our expense, and it is signed
// and checked; an ICMP echo is answered by the kernel.
func BenchmarkUDP(b *testing.B) {
	near, far := benchNet(b)
	respondApart(b, far)
	for _, is6 := range []bool{false, true} {
		for _, interval := range []time.Duration{time.Millisecond, 10 * time.Millisecond} {
			name := fmt.Sprintf("v4/%v", interval)
			if is6 {
				name = fmt.Sprintf("v6/%v", interval)
			}
			b.Run("engine/"+name, func(b *testing.B) { runEngine(b, near, UDP, is6, interval) })
			b.Run("fping/"+name, func(b *testing.B) { runFping(b, near, is6, interval) })
		}
	}
}

const respondVariable = "PNE_RESPOND"

// respondApart runs a responder in a namespace, in a process of its own.
func respondApart(b *testing.B, s *space) {
	b.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), respondVariable+"=1")
	said, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	s.do(func() { err = c.Start() })
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Process.Kill(); c.Wait() })
	if _, err := said.Read(make([]byte, 1)); err != nil {
		b.Fatal("the responder did not start")
	}
}

// benchResponder is that process.
func benchResponder() {
	r, err := NewResponder(ResponderOptions{Listen: ":9798", Node: "n2", Key: testKey, MaxReplies: 1_000_000})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_ = r.Run(context.Background())
}
