package collectors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	nl "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestParseQdisc(t *testing.T) {
	tests := []struct {
		name, file string
		want       qdisc
	}{
		{"a device without a queue", "noqueue", qdisc{device: 1, root: true, kind: "noqueue"}},
		{"a token bucket under load", "tbf",
			qdisc{device: 2, root: true, kind: "tbf", drops: 47, overlimits: 49, backlogPackets: 2, backlogBytes: 2084}},
		{"the child in which a token bucket waits", "pfifo-child",
			qdisc{device: 2, kind: "pfifo", backlogPackets: 49, backlogBytes: 51058}},
		{"a classful queue", "htb", qdisc{device: 3, root: true, kind: "htb"}},
		{"the sum of a device's queues", "mq", qdisc{device: 4, root: true, kind: "mq"}},
		{"one of them", "pfifo_fast-child", qdisc{device: 4, kind: "pfifo_fast"}},
		{"a hook for programs, which is no queue", "clsact", qdisc{device: 4, kind: "clsact"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseQdisc(recorded(t, "qdisc/"+tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(qdisc{})); diff != "" {
				t.Errorf("parseQdisc() differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseQdiscRefusesAShortMessage(t *testing.T) {
	if _, err := parseQdisc(make([]byte, tcMsgLen-1)); !errors.Is(err, errShort) {
		t.Errorf("parseQdisc() = %v; want %v", err, errShort)
	}
	// TCA_STATS2 with a TCA_STATS_QUEUE that lacks its last word.
	b := make([]byte, tcMsgLen)
	for _, header := range [][2]uint16{{4 + 4 + 16, unix.TCA_STATS2}, {4 + 16, tcaStatsQueue}} {
		b = binary.NativeEndian.AppendUint16(b, header[0])
		b = binary.NativeEndian.AppendUint16(b, header[1])
	}
	if _, err := parseQdisc(append(b, make([]byte, 16)...)); !errors.Is(err, errShort) {
		t.Errorf("parseQdisc() = %v; want %v", err, errShort)
	}
}

func FuzzParseQdisc(f *testing.F) {
	addRecorded(f, "qdisc")
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := parseQdisc(b)
		if len(b) < tcMsgLen && err == nil {
			t.Errorf("parseQdisc() = %+v of %d bytes; want an error", q, len(b))
		}
	})
}

// bucket makes a token bucket of 8 kbit/s the root qdisc of a device, which
// holds at most 3000 bytes (tc-tbf(8)).
func (s *sandbox) bucket(t testing.TB, device string) {
	t.Helper()
	if err := s.handle.QdiscReplace(&nl.Tbf{
		QdiscAttrs: nl.QdiscAttrs{LinkIndex: s.link(t, device).Attrs().Index, Handle: nl.MakeHandle(1, 0), Parent: nl.HANDLE_ROOT},
		Rate:       1000, Buffer: nl.Xmittime(1000, 1600), Limit: 3000,
	}); err != nil {
		t.Fatal(err)
	}
}

// neighbour says where an address is, so that nothing but the test's own
// packets has to ask.
func (s *sandbox) neighbour(t testing.TB, device, address string, at net.HardwareAddr) {
	t.Helper()
	if err := s.handle.NeighSet(&nl.Neigh{
		LinkIndex: s.link(t, device).Attrs().Index, IP: net.ParseIP(address), HardwareAddr: at, State: unix.NUD_PERMANENT,
	}); err != nil {
		t.Fatal(err)
	}
}

// send sends packets of 1000 bytes of UDP payload.
func (s *sandbox) send(t testing.TB, to string, packets int) {
	t.Helper()
	if err := s.do(func() error {
		conn, err := net.Dial("udp", to)
		if err != nil {
			return err
		}
		defer conn.Close()
		for range packets {
			if _, err := conn.Write(make([]byte, 1000)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// figures collects, and returns every series by name and labels.
func figures(t testing.TB, c Collector) map[string]float64 {
	t.Helper()
	ch := make(chan prometheus.Metric, 1024)
	if err := c.Collect(ch); err != nil {
		t.Fatal(err)
	}
	close(ch)
	found := make(map[string]float64)
	for m := range ch {
		var d dto.Metric
		if err := m.Write(&d); err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(m.Desc().String(), `Desc{fqName: "`), `"`)
		for _, l := range d.Label {
			name += fmt.Sprintf(" %s=%s", l.GetName(), l.GetValue())
		}
		found[name] = d.GetCounter().GetValue() + d.GetGauge().GetValue()
	}
	return found
}

func TestQdiscCountsWhatAFullQueueHoldsAndDrops(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "app")
	node.connect(t, "veth-app", "", pod)
	node.address(t, "veth-app", "10.1.0.1/24")
	node.neighbour(t, "veth-app", "10.1.0.2", pod.link(t, "eth0").Attrs().HardwareAddr)
	node.bucket(t, "veth-app")
	h, _ := handlesFor(t, node, pod)
	c := NewQdisc(h)
	const labels = " device=veth-app kind=tbf namespace= pod="

	before := figures(t, c)
	if len(before) != 4 {
		t.Fatalf("Collect() = %v; want 4 series, none of the pod's end, which has no queue", before)
	}
	node.send(t, "10.1.0.2:9", 50)
	after := figures(t, c)
	t.Log(after)

	// One packet finds enough tokens, two wait, 47 are dropped. The kernel may
	// have put a packet of its own between them (router solicitation, MLD).
	grown := after["podnet_qdisc_drops_total"+labels] - before["podnet_qdisc_drops_total"+labels]
	if grown < 40 || grown > 50 {
		t.Errorf("%v packets dropped of 50; want about 47", grown)
	}
	if got := after["podnet_qdisc_overlimits_total"+labels]; got == 0 {
		t.Error("no overlimits; want that the rate held packets back")
	}
	if got := after["podnet_qdisc_backlog_packets"+labels]; got < 1 || got > 3 {
		t.Errorf("%v packets wait; want about 2", got)
	}
	if got := after["podnet_qdisc_backlog_bytes"+labels]; got < 1000 || got > 3000 {
		t.Errorf("%v bytes wait; want 1000 to 3000, the limit", got)
	}
}

func TestQdiscReportsOneSeriesPerDeviceThatHasAQueue(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "app")
	node.bridge(t, "cni0")
	node.connect(t, "veth-app", "cni0", pod)
	h, _ := handlesFor(t, node, pod)
	set := setOf("qdisc", NewQdisc(h))
	if n := testutil.CollectAndCount(set, "podnet_qdisc_drops_total"); n != 0 {
		t.Errorf("%d series of devices without a queue; want none", n)
	}

	// A queue may have children, and an ingress hook is no queue.
	pod.bucket(t, "eth0")
	index := node.link(t, "veth-app").Attrs().Index
	for _, q := range []nl.Qdisc{
		nl.NewHtb(nl.QdiscAttrs{LinkIndex: index, Handle: nl.MakeHandle(1, 0), Parent: nl.HANDLE_ROOT}),
		&nl.Clsact{QdiscAttrs: nl.QdiscAttrs{LinkIndex: index, Handle: nl.MakeHandle(0xffff, 0), Parent: nl.HANDLE_CLSACT}},
		&nl.GenericQdisc{QdiscType: "pfifo", QdiscAttrs: nl.QdiscAttrs{
			LinkIndex: pod.link(t, "eth0").Attrs().Index, Handle: nl.MakeHandle(2, 0), Parent: nl.MakeHandle(1, 1),
		}},
	} {
		s := node
		if q.Type() == "pfifo" {
			s = pod
		}
		if err := s.handle.QdiscReplace(q); err != nil {
			t.Fatalf("%s: %v", q.Type(), err)
		}
	}
	want := `
# HELP podnet_qdisc_backlog_packets Packets that wait in the root qdisc of the device now.
# TYPE podnet_qdisc_backlog_packets gauge
podnet_qdisc_backlog_packets{device="eth0",kind="tbf",namespace="podnet",pod="app"} 0
podnet_qdisc_backlog_packets{device="veth-app",kind="htb",namespace="",pod=""} 0
`
	if err := testutil.CollectAndCompare(set, strings.NewReader(want), "podnet_qdisc_backlog_packets"); err != nil {
		t.Error(err)
	}
	lint(t, set)
}

func TestQdiscFollowsAQueueThatIsTakenAway(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "app")
	node.connect(t, "veth-app", "", pod)
	node.bucket(t, "veth-app")
	h, _ := handlesFor(t, node, pod)
	c := NewQdisc(h)
	if n := len(figures(t, c)); n != 4 {
		t.Errorf("%d series; want 4", n)
	}
	qdiscs, err := node.handle.QdiscList(node.link(t, "veth-app"))
	if err != nil || len(qdiscs) != 1 {
		t.Fatalf("QdiscList() = %v, %v; want the bucket", qdiscs, err)
	}
	if err := node.handle.QdiscDel(qdiscs[0]); err != nil {
		t.Fatal(err)
	}
	if n := len(figures(t, c)); n != 0 {
		t.Errorf("%d series; want none", n)
	}
}
