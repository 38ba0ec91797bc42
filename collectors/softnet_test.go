package collectors

import (
	"os"
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
