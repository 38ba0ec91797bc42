package collectors

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
)

// briefHandles are handles of which little is reported of every pod but the
// endpoint.
func briefHandles(t testing.TB, all ...*sandbox) *Handles {
	t.Helper()
	h, _ := handlesFor(t, all...)
	h.Brief = func(_, pod string) bool { return pod != "endpoint-n1" }
	return h
}

// A healthy pod is two series, however many it has interfaces, counters and
// queues; the endpoint has them all.
func TestAHealthyPodIsTwoSeries(t *testing.T) {
	node, endpoint, app := interfaceLab(t)
	h := briefHandles(t, node, endpoint, app)
	set := NewSet(map[string]Collector{
		"interface": NewInterface(h), "conntrack": NewConntrack(h),
		"tcp": NewTCP(h), "qdisc": NewQdisc(h),
	}, nil)
	with := testutil.CollectAndCount(set)

	alone := briefHandles(t, node, endpoint)
	alone.Brief = h.Brief
	without := testutil.CollectAndCount(NewSet(map[string]Collector{
		"interface": NewInterface(alone), "conntrack": NewConntrack(alone),
		"tcp": NewTCP(alone), "qdisc": NewQdisc(alone),
	}, nil))
	// Not listed, the pod is a port of the bridge all the same.
	if with != without {
		t.Errorf("%d series with the pod, %d when only its port is seen; want as many", with, without)
	}
	want := headInfo + `
podnet_interface_info{device="cni0",kind="bridge",master="",namespace="",peer="",peer_namespace="",peer_pod="",pod=""} 1
podnet_interface_info{device="eth0",kind="veth",master="",namespace="",peer="",peer_namespace="",peer_pod="",pod=""} 1
podnet_interface_info{device="eth0",kind="veth",master="",namespace="podnet",peer="veth-endpoint",peer_namespace="",peer_pod="",pod="endpoint-n1"} 1
podnet_interface_info{device="veth-app",kind="veth",master="cni0",namespace="",peer="podnet/app:eth0",peer_namespace="podnet",peer_pod="app",pod=""} 1
podnet_interface_info{device="veth-endpoint",kind="veth",master="cni0",namespace="",peer="podnet/endpoint-n1:eth0",peer_namespace="podnet",peer_pod="endpoint-n1",pod=""} 1
`
	if err := testutil.CollectAndCompare(set, strings.NewReader(want), "podnet_interface_info"); err != nil {
		t.Error(err)
	}
	h.Brief = nil
	if full := testutil.CollectAndCount(set); full < with+30 {
		t.Errorf("%d series with every pod in full, %d without; want all of its interfaces and counters", full, with)
	}
}

func TestABriefPodStillTellsWhichEndWasSetDown(t *testing.T) {
	for _, end := range []string{"node", "pod"} {
		t.Run("the end of the "+end, func(t *testing.T) {
			node, app := newSandbox(t, ""), newSandbox(t, "app")
			node.connect(t, "veth-app", "", app)
			admin := `podnet_interface_admin_up{device="veth-app",namespace="",pod=""} 0`
			if end == "node" {
				node.down(t, "veth-app")
			} else {
				app.down(t, "eth0")
				admin = `podnet_interface_admin_up{device="eth0",namespace="podnet",pod="app"} 0`
			}
			want := headAdmin + admin + "\n" + headUp + `podnet_interface_up{device="veth-app",namespace="",pod=""} 0` + "\n"
			if err := testutil.CollectAndCompare(setOf("interface", NewInterface(briefHandles(t, node, app))), strings.NewReader(want),
				"podnet_interface_up", "podnet_interface_admin_up", "podnet_interface_receive_packets_total"); err != nil {
				t.Error(err)
			}
		})
	}
}

// An interface that has no other end in a listed namespace speaks for itself.
func TestABriefPodWithoutAHostEndHasItsOwnSeries(t *testing.T) {
	node, app := newSandbox(t, ""), newSandbox(t, "app")
	app.bridge(t, "net1")
	h := briefHandles(t, node, app)
	if n := testutil.CollectAndCount(setOf("interface", NewInterface(h)), "podnet_interface_info", "podnet_interface_up"); n != 2 {
		t.Errorf("%d series of info and up; want one of each", n)
	}
}

// Only an interface that the endpoint has too, of the same kind and on the same
// bridge, can have another MTU than it should.
func TestABriefPodTellsAnOddMTU(t *testing.T) {
	const odd = `podnet_interface_mtu_odd_bytes{device="eth0",namespace="podnet",pod="app"} 1400`
	tests := []struct {
		name   string
		change func(t *testing.T, node, app *sandbox)
		want   string
	}{
		{"the same", func(*testing.T, *sandbox, *sandbox) {}, ""},
		{"another", func(t *testing.T, _, app *sandbox) { app.mtu(t, "eth0", 1400) }, odd},
		{"that of the node's end", func(t *testing.T, node, _ *sandbox) { node.mtu(t, "veth-app", 1400) }, ""},
		{"another, on another bridge", func(t *testing.T, node, app *sandbox) {
			node.bridge(t, "storage0")
			if err := node.handle.LinkSetMaster(node.link(t, "veth-app"), node.link(t, "storage0")); err != nil {
				t.Fatal(err)
			}
			app.mtu(t, "eth0", 1400)
		}, ""},
		{"another, of an interface that the endpoint has not", func(t *testing.T, node, app *sandbox) {
			app.bridge(t, "docker0")
			app.mtu(t, "docker0", 1400)
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			node, endpoint, app := interfaceLab(t)
			tt.change(t, node, app)
			h := briefHandles(t, node, endpoint, app)
			set := setOf("interface", NewInterface(h))
			if got := lines(t, set, `pod="app"`, "podnet_interface_mtu_odd_bytes"); got != tt.want {
				t.Errorf("series %q; want %q", got, tt.want)
			}
			path := ""
			if tt.want != "" {
				path = fmt.Sprintf(`podnet_network_namespace_info{inode="%d",namespace="podnet",path="%s",pod="app"} 1`, app.Inode, app.Path)
			}
			namespaces := setOf("namespaces", NewNetworkNamespaces(h, unnamed{}))
			if got := lines(t, namespaces, `pod="app"`, "podnet_network_namespace_info"); got != path {
				t.Errorf("series %q; want %q", got, path)
			}
			app.mtu(t, "eth0", 1450)
			lines(t, set, "", "podnet_interface_mtu_odd_bytes")
			if got := lines(t, namespaces, `pod="app"`, "podnet_network_namespace_info"); got != "" {
				t.Errorf("series %q after the MTU was mended", got)
			}
		})
	}
}

// A CNI that was reconfigured makes all older pods odd.
func TestOddMTUsAreBounded(t *testing.T) {
	node, endpoint := newSandbox(t, ""), newSandbox(t, "endpoint-n1")
	node.bridge(t, "cni0")
	node.connect(t, "veth-endpoint", "cni0", endpoint)
	all := []*sandbox{node, endpoint}
	for i := range maxOddPods + 3 {
		pod := newSandbox(t, fmt.Sprintf("app-%d", i))
		node.connect(t, fmt.Sprintf("veth-%d", i), "cni0", pod)
		pod.mtu(t, "eth0", 1400)
		all = append(all, pod)
	}
	h := briefHandles(t, all...)
	if n := strings.Count(lines(t, setOf("interface", NewInterface(h)), `pod="app-`, "podnet_interface_mtu_odd_bytes"), "\n") + 1; n != maxOddPods {
		t.Errorf("%d pods have an odd MTU; want %d at most", n, maxOddPods)
	}
	if n := strings.Count(lines(t, setOf("namespaces", NewNetworkNamespaces(h, unnamed{})), `pod="app-`, "podnet_network_namespace_info"), "\n") + 1; n != maxOddPods {
		t.Errorf("%d pods have a path; want %d", n, maxOddPods)
	}
}

// lines returns the series of a metric that have something in their labels, as
// they are on /metrics.
func lines(t *testing.T, c prometheus.Collector, with, metric string) string {
	t.Helper()
	text, err := testutil.CollectAndFormat(c, expfmt.TypeTextPlain, metric)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") && strings.Contains(line, with) {
			found = append(found, strings.TrimSuffix(line, "\n"))
		}
	}
	return strings.Join(found, "\n")
}

func (s *sandbox) mtu(t *testing.T, device string, bytes int) {
	t.Helper()
	if err := s.handle.LinkSetMTU(s.link(t, device), bytes); err != nil {
		t.Fatal(err)
	}
}

func TestABriefPodCountsWhatIsLostInIt(t *testing.T) {
	node, app := newSandbox(t, ""), newSandbox(t, "app")
	h := briefHandles(t, node, app)
	set := setOf("tcp", NewTCP(h))
	names := []string{"podnet_tcp_listen_drops_total", "podnet_tcp_listen_overflows_total", "podnet_udp_no_ports_total"}
	if n := testutil.CollectAndCount(set, names...); n != len(names) {
		t.Fatalf("%d series before anything is lost; want the node's %d only", n, len(names))
	}
	if err := app.Do(func() error { return errors.Join(overflowListener(), missPort()) }); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, m := range []struct{ name, help string }{
		{"tcp_listen_drops_total", "Connections that a listener dropped, because of a full accept queue or for any other reason."},
		{"tcp_listen_overflows_total", "Connections that were not accepted because the listener's accept queue was full."},
	} {
		fmt.Fprintf(&want, "# HELP podnet_%[1]s %[2]s\n# TYPE podnet_%[1]s counter\n"+
			"podnet_%[1]s{namespace=\"\",pod=\"\"} 0\npodnet_%[1]s{namespace=\"podnet\",pod=\"app\"} 1\n", m.name, m.help)
	}
	if err := testutil.CollectAndCompare(set, strings.NewReader(want.String()), names[:2]...); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(set, names[2]); n != 1 {
		t.Errorf("%d series of %s; want the node's only", n, names[2])
	}
}

func TestABriefPodWithAFewConnectionsHasNoConntrackSeries(t *testing.T) {
	node, app := newSandbox(t, ""), newSandbox(t, "app")
	if err := app.Do(func() error { return track("10.0.0.1", "10.0.0.2") }); err != nil {
		t.Fatal(err)
	}
	set := setOf("conntrack", NewConntrack(briefHandles(t, node, app)))
	if n := testutil.CollectAndCount(set, "podnet_conntrack_entries", "podnet_conntrack_limit", "podnet_conntrack_found_total"); n != 3 {
		t.Errorf("%d series of entries, limit and found; want the node's 3 only", n)
	}
}

// A pod whose rate is limited has a queue, which is worth a word only when it
// is full.
func TestAQueueOfABriefPodIsReportedOnceItDropped(t *testing.T) {
	node, app := newSandbox(t, ""), newSandbox(t, "app")
	node.connect(t, "veth-app", "", app)
	node.address(t, "veth-app", "10.1.0.1/24")
	node.neighbour(t, "veth-app", "10.1.0.2", app.link(t, "eth0").Attrs().HardwareAddr)
	node.bucket(t, "veth-app")
	c := NewQdisc(briefHandles(t, node, app))
	if got := figures(t, c); len(got) != 0 {
		t.Errorf("Collect() = %v; want nothing of an idle queue", got)
	}
	node.send(t, "10.1.0.2:9", 50)
	if got := figures(t, c); len(got) != 4 {
		t.Errorf("Collect() = %v; want the 4 series of a queue that dropped", got)
	}
}
