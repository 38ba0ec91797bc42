package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// Entries are made out of a template; each must be what encoding it would give.
func TestFlowTemplate(t *testing.T) {
	numbered, err := flowTemplate()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, i := range []uint32{0, 1, 1<<15 - 1, 1 << 15, 262143, 1<<24 - 1} {
		want, err := createFlow(fillFlow(i))
		if err != nil {
			t.Fatal(err)
		}
		got := numbered(i)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entry %d (-want +got):\n%s", i, diff)
		}
		if seen[string(got.Data)] {
			t.Errorf("entry %d is the same as another one", i)
		}
		seen[string(got.Data)] = true
	}
}

// conntrackDrops returns how many packets the connection tracking of a
// namespace has dropped. Source: /proc/net/stat/nf_conntrack, a line of
// hexadecimal columns per CPU.
func conntrackDrops(t *testing.T, netnsName string) uint64 {
	t.Helper()
	var text []byte
	err := netspace.In(netnsName, func() error {
		var err error
		text, err = os.ReadFile("/proc/thread-self/net/stat/nf_conntrack")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	column := -1
	for i, name := range strings.Fields(lines[0]) {
		if name == "drop" {
			column = i
		}
	}
	var sum uint64
	for _, line := range lines[1:] {
		n, err := strconv.ParseUint(strings.Fields(line)[column], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}
