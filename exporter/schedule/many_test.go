package schedule

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

var clusterKey = []byte("a key for a thousand targets")

// loopback returns a network namespace with a loopback device and nothing
// else. The kernel answers ICMP at every address of 127.0.0.0/8, and a
// responder UDP.
func loopback(t *testing.T) *netns.Namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	var (
		ns        *netns.Namespace
		responder *probers.Responder
		made      = make(chan error)
	)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		made <- func() (err error) {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			if err := netlink.LinkSetUp(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "lo"}}); err != nil {
				return err
			}
			if ns, err = netns.Open(""); err != nil {
				return err
			}
			responder, err = probers.NewResponder(probers.ResponderOptions{Listen: "0.0.0.0:9798", Node: "n2", Key: clusterKey, MaxReplies: 1_000_000})
			return err
		}()
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- responder.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ns.Close()
	})
	return ns
}

// answers counts the answers of a target, and says when there were enough of
// them.
type answers struct {
	wanted, got int
	enough      func()
}

func (a *answers) Calm(time.Time) bool           { return true }
func (a *answers) Sent(time.Time, time.Duration) {}

func (a *answers) Result(r probers.Result) {
	if r.Event != probers.Done || r.Reason != probers.OK {
		return
	}
	if a.got++; a.got == a.wanted {
		a.enough()
	}
}

// use is what a process holds.
type use struct{ Descriptors, Goroutines int }

func useNow(t *testing.T) use {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return use{len(open), runtime.NumGoroutine()}
}

// probeMany probes so many targets by a kind of probe, until each was answered
// on every flow, and returns what that took while it went on.
func probeMany(t *testing.T, ns *netns.Namespace, kind probers.Kind, targets int) use {
	t.Helper()
	const flows = 4
	loop := NewLoop(func() (Engine, error) {
		e, err := probers.NewEngine()
		if err != nil {
			return nil, err
		}
		e.SetKey(clusterKey)
		return e, nil
	}, func(Health) {})
	var left atomic.Int64
	left.Store(int64(targets))
	all := make(chan struct{})
	var wanted []Target
	for i := range targets {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(1 + i/250), 0, byte(1 + i%250)}), 9798)
		wanted = append(wanted, Target{
			Key: fmt.Sprint(kind, to), Interval: 500 * time.Millisecond, Flows: flows,
			Probe: probers.Probe{Kind: kind, To: to, Timeout: 2 * time.Second},
			Sink: &answers{wanted: flows, enough: func() {
				if left.Add(-1) == 0 {
					close(all)
				}
			}},
		})
	}
	loop.Set("mesh", wanted)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(ctx, ns) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-all:
	case <-time.After(time.Minute):
		t.Fatalf("%d of %d targets were not answered", left.Load(), targets)
	}
	return useNow(t)
}

// Sockets and goroutines belong to the loop and not to its targets.
func TestManyTargetsNeedNoMoreThanFew(t *testing.T) {
	ns := loopback(t)
	for _, kind := range []probers.Kind{probers.ICMP, probers.UDP} {
		t.Run(kind.String(), func(t *testing.T) {
			few := probeMany(t, ns, kind, 10)
			many := probeMany(t, ns, kind, 1000)
			if many != few {
				t.Errorf("1,000 targets take %+v; want as much as 10 do, %+v", many, few)
			}
			t.Logf("10 targets and 1,000 take %+v each", few)
		})
	}
}
