package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestDecide(t *testing.T) {
	const ms, packets = time.Millisecond, 10_000
	type counts struct{ dropped, copied, overtaken int }
	tests := []struct {
		name       string
		impairment impairment
		least      time.Duration // of the time that a packet is held
		most       time.Duration
		want       counts // within a tenth
	}{
		{"nothing is done to packets", impairment{}, 0, 0, counts{}},
		{"all packets are late", impairment{Delay: 30 * ms}, 30 * ms, 30 * ms, counts{}},
		{"jitter does not change the order", impairment{Delay: 30 * ms, Jitter: 5 * ms}, 25 * ms, 35 * ms, counts{}},
		{"jitter is never more than the delay", impairment{Delay: 2 * ms, Jitter: 5 * ms}, 0, 7 * ms, counts{}},
		{"some packets are lost", impairment{Loss: 10}, 0, 0, counts{dropped: 1000}},
		{"some packets are doubled", impairment{Duplicate: 20}, 0, 0, counts{copied: 2000}},
		// A quarter is held, and of these a quarter goes after another that is held.
		{"some packets are overtaken", impairment{Reorder: 25, Hold: 3 * ms}, 0, 3 * ms, counts{overtaken: 1875}},
		{"all packets are lost", impairment{Loss: 100, Duplicate: 50}, 0, 0, counts{dropped: packets}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLink(tt.impairment)
			var got counts
			var due []time.Duration
			for i := range packets {
				now := time.Duration(i) * ms
				f := l.decide(now)
				switch {
				case f.drop:
					got.dropped++
					continue
				case f.copy:
					got.copied++
				}
				if late := f.due - now; late < tt.least || late > tt.most {
					t.Fatalf("packet %d is held for %s; want %s to %s", i, late, tt.least, tt.most)
				}
				due = append(due, f.due)
			}
			for i := range len(due) - 1 {
				if due[i] > due[i+1] {
					got.overtaken++
				}
			}
			near := cmp.Comparer(func(a, b int) bool { return max(a-b, b-a) <= max(a, b)/10 })
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(counts{}), near); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrongImpairmentsAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		device impairDevice
		want   string // in the error, "" for none
	}{
		{"nothing", impairDevice{}, ""},
		{"everything", impairDevice{direction: directionOut, impairment: impairment{time.Second, time.Second, 1, 2, 3, time.Second}}, ""},
		{"more than all", impairDevice{impairment: impairment{Loss: 101}}, "loss: 101 %"},
		{"less than nothing", impairDevice{impairment: impairment{Reorder: -1, Hold: 1}}, "reorder: -1 %"},
		{"a delay backwards", impairDevice{impairment: impairment{Delay: -1}}, "delay"},
		{"a delay for good", impairDevice{impairment: impairment{Delay: time.Hour}}, "delay: 1h0m0s"},
		{"overtaken in no time", impairDevice{impairment: impairment{Reorder: 1}}, "hold"},
		{"received twice", impairDevice{direction: directionBoth, impairment: impairment{Duplicate: 1}}, "the other end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.device.check()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("check() = %v; want %q", err, tt.want)
			}
		})
	}
}

// What the lab starts is what the command does.
func TestImpairArgs(t *testing.T) {
	want := impairDevice{
		impairment: impairment{30 * time.Millisecond, time.Microsecond, 0.5, 20, 1, time.Second},
		netns:      "podnet-tor1", device: "br0", direction: directionOut, table: "t", limit: 7,
		addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::1/128")},
	}
	var got impairDevice
	app := kingpin.New("lab", "")
	cmd := app.Command(impairCommandName, "")
	finish := got.flags(cmd)
	if _, err := app.Parse(append([]string{impairCommandName}, want.args()...)); err != nil {
		t.Fatal(err)
	}
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.args(), got.args()); diff != "" {
		t.Error(diff)
	}
}

func TestHolderLetsPacketsGoInTheOrderOfTheirTimes(t *testing.T) {
	h, err := newHolder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(h.wake) })
	var order []int
	now := h.now() + 20*time.Millisecond // all are held before run begins, or released by it
	for i, after := range []time.Duration{3, 1, 2, 1, 3_600_000} {
		h.hold(now+after*time.Millisecond, func() { order = append(order, i) })
	}
	last := make(chan time.Duration, 1)
	h.hold(now+5*time.Millisecond, func() { last <- h.now() })
	ended := make(chan error, 1)
	go func() { ended <- h.run() }()
	if at := <-last; at < now+5*time.Millisecond {
		t.Errorf("a packet went %s before its time", now+5*time.Millisecond-at)
	}
	h.end()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if want := []int{1, 3, 2, 0, 4}; !slices.Equal(order, want) {
		t.Errorf("packets went in order %v; want %v, the last at the end", order, want)
	}
	h.hold(h.now()+time.Hour, func() { order = nil })
	if order != nil {
		t.Error("a packet is held after the end")
	}
}

func TestDestinationOf(t *testing.T) {
	v4 := append([]byte{0x45, 16: 10, 17: 1, 18: 2, 19: 3}, 1, 2, 3)
	v6 := []byte{0x60, 24: 0xfd, 39: 7}
	tests := []struct {
		name   string
		packet []byte
		want   string // "" for an error
	}{
		{"IPv4", v4, "10.1.2.3"},
		{"IPv6", v6, "fd00::7"},
		{"IPv4 cut off", v4[:19], ""},
		{"IPv6 cut off", v6[:39], ""},
		{"neither", append([]byte{0x50}, v6[1:]...), ""},
		{"nothing", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := destinationOf(tt.packet)
			if (err == nil) != (tt.want != "") || err == nil && got.String() != tt.want {
				t.Errorf("destinationOf() = %v, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func FuzzDestinationOf(f *testing.F) {
	f.Add([]byte{0x45, 19: 0})
	f.Add([]byte{0x60, 39: 0})
	f.Fuzz(func(t *testing.T, packet []byte) {
		a, err := destinationOf(packet)
		if a.IsValid() == (err != nil) {
			t.Errorf("destinationOf() = %v, %v", a, err)
		}
	})
}

// A device that dies leaves rules that lead nowhere, and packets pass.
func TestKilledImpairmentLetsPacketsPass(t *testing.T) {
	l := echoLab(t, cniVXLAN)
	warm(t, l)
	n2, _ := l.Plan.Node("n2")
	if err := l.injectFault(t.Context(), "one-way-delay", ""); err != nil {
		t.Fatal(err)
	}
	if err := l.signalAndWait(t.Context(), impairmentOf("one-way-delay", n2), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if there, err := hasTable(onSwitch(l, n2), impairTable("one-way-delay", n2)); err != nil || !there {
		t.Errorf("rules are there: %v, %v; want them, or nothing is tested", there, err)
	}
	for _, f := range between(l, "n1", "n2", 50, packetGap, 64) {
		if s := measure(t, f); !untouched(s) {
			t.Errorf("to %s: %v", f.to, s)
		}
	}
	if err := l.clearFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	if there, err := hasTable(onSwitch(l, n2), impairTable("one-way-delay", n2)); err != nil || there {
		t.Errorf("rules are there after clearing: %v, %v", there, err)
	}
}

// Two devices on one link add up, each in its own queue, in both directions.
func TestImpairmentsOfALinkAddUp(t *testing.T) {
	l := echoLab(t, cniVXLAN)
	warm(t, l)
	for name, device := range map[string]string{"a": "spine1", "b": "spine1", "c": "spine2", "d": "spine2"} {
		d := impairDevice{
			impairment: impairment{Delay: 10 * time.Millisecond}, netns: l.Plan.Netns("tor1"), device: device,
			direction: directionBoth, table: "impair-" + name, limit: defaultLimit,
		}
		if err := l.startImpairment(t.Context(), name, d); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range between(l, "n1", "n3", 50, packetGap, 64) {
		if s := measure(t, f); !rttBetween(40*time.Millisecond, 100*time.Millisecond)(s) {
			t.Errorf("to %s: %v; want 40 ms", f.to, s)
		}
	}
}

// A copy is made of a packet as it is: it is late where the packet will be,
// and not again where it was.
func TestCopiesAreAsLateAsTheirPackets(t *testing.T) {
	for _, order := range [][]string{{"one-way-delay", "duplicates"}, {"duplicates", "one-way-delay"}} {
		t.Run(strings.Join(order, " before "), func(t *testing.T) {
			l := echoLab(t, cniVXLAN)
			warm(t, l)
			for _, id := range order {
				if err := l.injectFault(t.Context(), id, ""); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range between(l, "n1", "n2", manyPackets, packetGap, 64) {
				s := measure(t, f)
				if s.duplicates < 10 || s.lost > 0 || s.least() < 30*time.Millisecond {
					t.Errorf("to %s: %v; want 30 ms and copies", f.to, s)
				}
				if late := slices.Min(append(s.copies, time.Hour)); late < 30*time.Millisecond || late >= 60*time.Millisecond {
					t.Errorf("to %s: copies are late by %s; want 30 ms once", f.to, late)
				}
			}
		})
	}
}
