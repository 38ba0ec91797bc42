package drops

import (
	"net"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// BenchmarkDrop drops one packet per iteration, and reports how long the
// program ran for each (ns/drop) by the kernel's own clock, whose reading,
// some 50 ns, is part of the figure.
//
//	go test -run ^$ -bench Drop ./collectors/drops
func BenchmarkDrop(b *testing.B) {
	for _, bench := range []struct {
		name string
		port string
		in   func(bed *testbed)
	}{
		{"forwarded packet", "9", blockForward},
		{"forwarded probe", "9798", blockForward},
		{"packet on its way out", "9", blockOutput},
		{"probe on its way out", "9798", blockOutput},
		{"packet of another node", "9798", blockForeign},
	} {
		b.Run(bench.name, func(b *testing.B) {
			bed := newTestbed(b)
			bench.in(bed)
			stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
			if err != nil {
				b.Fatal(err)
			}
			defer stats.Close()
			conn := bed.pod.dial(net.JoinHostPort(farAddresses[0].String(), bench.port))
			defer conn.Close()
			payload := []byte("pnx1")
			before := bed.stats()
			for b.Loop() {
				_, _ = conn.Write(payload)
			}
			after := bed.stats()
			b.ReportMetric(float64(after.Runtime-before.Runtime)/float64(after.RunCount-before.RunCount), "ns/drop")
		})
	}
}

func blockForward(bed *testbed) { bed.near.block(nftables.ChainHookForward) }
func blockOutput(bed *testbed)  { bed.pod.block(nftables.ChainHookOutput) }

func blockForeign(bed *testbed) {
	blockOutput(bed)
	bed.drops.options.Namespaces = namespaces{bed.near.namespace("", "")}
	if err := bed.drops.Refresh(); err != nil {
		bed.pod.t.Fatal(err)
	}
}

func (s *space) dial(to string) (conn net.Conn) {
	err := s.do(func() (err error) {
		conn, err = net.Dial("udp", to)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func (b *testbed) stats() *ebpf.ProgramStats {
	stats, err := b.drops.kernel.(*program).objects.KfreeSkb.Stats()
	if err != nil {
		b.pod.t.Fatal(err)
	}
	return stats
}
