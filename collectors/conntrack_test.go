package collectors

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

// cpuMessage is the recorded message of one CPU, whose counters are all 0,
// with other values.
func cpuMessage(t testing.TB, insertFailed, drop uint32) netlink.Message {
	t.Helper()
	attrs := netlink.NewAttributeEncoder()
	attrs.ByteOrder = binary.BigEndian
	attrs.Uint32(9, insertFailed)
	attrs.Uint32(10, drop)
	data, err := attrs.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return conntrackMessage(append(recorded(t, "conntrack/zero")[:4:4], data...))
}

func conntrackMessage(data []byte) netlink.Message {
	return netlink.Message{Header: netlink.Header{Type: 1<<8 | 4}, Data: data}
}

func TestParseConntrackCountersSumsOverCPUs(t *testing.T) {
	got, err := parseConntrackCounters([]netlink.Message{cpuMessage(t, 3, 1<<32-1), cpuMessage(t, 4, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[uint16]uint64{9: 7, 10: 1<<32 + 1}, got); diff != "" {
		t.Errorf("counters differ (-want +got):\n%s", diff)
	}
}

func TestParseConntrackCountersOfThisKernel(t *testing.T) {
	got, err := parseConntrackCounters([]netlink.Message{conntrackMessage(recorded(t, "conntrack/zero"))})
	if err != nil {
		t.Fatal(err)
	}
	for _, counter := range NewConntrack(nil).counters {
		if n, ok := got[counter.attribute]; !ok || n != 0 {
			t.Errorf("%s is %d, %v; want 0 and there", counter.desc, n, ok)
		}
	}
}

func FuzzParseConntrackCounters(f *testing.F) {
	addRecorded(f, "conntrack")
	f.Fuzz(func(_ *testing.T, b []byte) {
		parseConntrackCounters([]netlink.Message{conntrackMessage(b)})
	})
}

func TestConntrackCountsThePodsOwnTable(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "endpoint-n1")
	h, _ := handlesFor(t, node, pod)
	set := setOf("conntrack", NewConntrack(h))
	const head = `
# HELP podnet_conntrack_entries Connections that the network namespace tracks now, 0 where connection tracking is not in use.
# TYPE podnet_conntrack_entries gauge
`
	want := head + `podnet_conntrack_entries{network_namespace="node"} 0
podnet_conntrack_entries{network_namespace="podnet/endpoint-n1"} 0
`
	if err := testutil.CollectAndCompare(set, strings.NewReader(want), "podnet_conntrack_entries"); err != nil {
		t.Fatal(err)
	}
	if n := testutil.CollectAndCount(set, "podnet_conntrack_insert_failed_total"); n != 1 {
		t.Errorf("%d series of insert_failed before the pod tracks anything; want the node's only", n)
	}

	if err := pod.Do(func() error { return track("10.0.0.1", "10.0.0.2") }); err != nil {
		t.Fatal(err)
	}
	want = head + `podnet_conntrack_entries{network_namespace="node"} 0
podnet_conntrack_entries{network_namespace="podnet/endpoint-n1"} 1
`
	if err := testutil.CollectAndCompare(set, strings.NewReader(want), "podnet_conntrack_entries"); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(set, "podnet_conntrack_insert_failed_total", "podnet_conntrack_limit"); n != 4 {
		t.Errorf("%d series of insert_failed and limit; want 2 for the node and 2 for the pod", n)
	}
	lint(t, set)
}

// track makes an entry in the table of the caller's namespace.
func track(from, to string) error {
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Create(conntrack.NewFlow(unix.IPPROTO_UDP, 0, netip.MustParseAddr(from), netip.MustParseAddr(to), 1234, 53, 60, 0))
}

func TestConntrackSaysWhatIsMissing(t *testing.T) {
	tests := []struct {
		name string
		err  error
		says string
	}{
		{"no capability", unix.EPERM, "CAP_NET_ADMIN"},
		{"no module", unix.EPROTONOSUPPORT, "nf_conntrack_netlink"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := unsupported(tt.err)
			if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("unsupported() = %v; want ErrUnsupported that says %q", err, tt.says)
			}
		})
	}
	if err := unsupported(unix.ENOBUFS); errors.Is(err, ErrUnsupported) {
		t.Errorf("unsupported(%v) = %v; want a passing failure", unix.ENOBUFS, err)
	}
}
