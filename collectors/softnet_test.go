package collectors

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/procfs"
)

func TestSoftnet(t *testing.T) {
	proc, err := procfs.NewFS("testdata/proc")
	if err != nil {
		t.Fatal(err)
	}
	set := setOf("softnet", NewSoftnet(proc))
	want, err := os.Open("testdata/softnet.prom")
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	if err := testutil.CollectAndCompare(set, want, "podnet_softnet_backlog_packets", "podnet_softnet_dropped_total",
		"podnet_softnet_processed_total", "podnet_softnet_squeezed_total"); err != nil {
		t.Error(err)
	}
	lint(t, set)
}

func TestSoftnetWithoutItsFileFails(t *testing.T) {
	proc, err := procfs.NewFS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := NewSoftnet(proc).Collect(nil); err == nil {
		t.Error("Collect() without softnet_stat = nil; want an error")
	}
}

func TestSoftnetOfManyCPUsIsTheirSum(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	for cpu := range 32 {
		fmt.Fprintf(&text, "%08x %08x %08x 0 0 0 0 0 0 0 0 %08x %08x\n", 100, 2, 3, 4, cpu)
	}
	if err := os.MkdirAll(filepath.Join(dir, "net"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "net", "softnet_stat"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	proc, err := procfs.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := `
# HELP podnet_softnet_backlog_packets Packets that wait in this CPU's receive backlog now.
# TYPE podnet_softnet_backlog_packets gauge
podnet_softnet_backlog_packets{cpu="all"} 128
# HELP podnet_softnet_dropped_total Packets that this CPU dropped since boot because its receive backlog was full (net.core.netdev_max_backlog).
# TYPE podnet_softnet_dropped_total counter
podnet_softnet_dropped_total{cpu="all"} 64
# HELP podnet_softnet_processed_total Packets that this CPU took from its receive backlog since boot.
# TYPE podnet_softnet_processed_total counter
podnet_softnet_processed_total{cpu="all"} 3200
# HELP podnet_softnet_squeezed_total Polls that this CPU ended since boot with packets left, out of budget or time (net.core.netdev_budget).
# TYPE podnet_softnet_squeezed_total counter
podnet_softnet_squeezed_total{cpu="all"} 96
`
	if err := testutil.CollectAndCompare(setOf("softnet", NewSoftnet(proc)), strings.NewReader(want), "podnet_softnet_backlog_packets",
		"podnet_softnet_dropped_total", "podnet_softnet_processed_total", "podnet_softnet_squeezed_total"); err != nil {
		t.Error(err)
	}
}
