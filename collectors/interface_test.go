package collectors

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

const (
	headUp = `
# HELP podnet_interface_up 1 if the interface is set up (IFF_UP) and has carrier (IFF_LOWER_UP), 0 otherwise. Both ends of a veth lose it when either is set down.
# TYPE podnet_interface_up gauge
`
	headAdmin = `
# HELP podnet_interface_admin_up 1 if the interface is set up (IFF_UP), whether it has carrier or not, 0 if somebody set it down.
# TYPE podnet_interface_admin_up gauge
`
	headMTU = `
# HELP podnet_interface_mtu_bytes Largest packet that the interface sends, in bytes, without its link-layer header.
# TYPE podnet_interface_mtu_bytes gauge
`
	headInfo = `
# HELP podnet_interface_info What the interface is. kind: veth, bridge, vxlan and so on, device for hardware. master: the bridge it is a port of. peer: the other end of a veth, as namespace/pod:device or, if that is in the node's own namespace, device; empty if unknown. peer_namespace, peer_pod: the pod that the other end is in.
# TYPE podnet_interface_info gauge
`
)

// interfaceLab is a node with a bridge, an uplink to a place that is not
// listed, and two pods.
func interfaceLab(t testing.TB) (node, endpoint, app *sandbox) {
	t.Helper()
	node, endpoint, app = newSandbox(t, ""), newSandbox(t, "endpoint-n1"), newSandbox(t, "app")
	node.bridge(t, "cni0")
	node.connect(t, "eth0", "", newSandbox(t, "fabric"))
	node.connect(t, "veth-endpoint", "cni0", endpoint)
	node.connect(t, "veth-app", "cni0", app)
	return node, endpoint, app
}

func TestInterfaceNamesPeersAndMasters(t *testing.T) {
	node, endpoint, app := interfaceLab(t)
	h, _ := handlesFor(t, node, endpoint, app)
	set := setOf("interface", NewInterface(h))
	want := headInfo + `
podnet_interface_info{device="cni0",kind="bridge",master="",namespace="",peer="",peer_namespace="",peer_pod="",pod=""} 1
podnet_interface_info{device="eth0",kind="veth",master="",namespace="",peer="",peer_namespace="",peer_pod="",pod=""} 1
podnet_interface_info{device="eth0",kind="veth",master="",namespace="podnet",peer="veth-app",peer_namespace="",peer_pod="",pod="app"} 1
podnet_interface_info{device="eth0",kind="veth",master="",namespace="podnet",peer="veth-endpoint",peer_namespace="",peer_pod="",pod="endpoint-n1"} 1
podnet_interface_info{device="veth-app",kind="veth",master="cni0",namespace="",peer="podnet/app:eth0",peer_namespace="podnet",peer_pod="app",pod=""} 1
podnet_interface_info{device="veth-endpoint",kind="veth",master="cni0",namespace="",peer="podnet/endpoint-n1:eth0",peer_namespace="podnet",peer_pod="endpoint-n1",pod=""} 1
`
	if err := testutil.CollectAndCompare(set, strings.NewReader(want), "podnet_interface_info"); err != nil {
		t.Error(err)
	}
	lint(t, set)
}

// Without a bridge: its carrier follows that of its ports a moment later.
func TestInterfaceTellsWhichEndWasSetDown(t *testing.T) {
	node, endpoint, app := newSandbox(t, ""), newSandbox(t, "endpoint-n1"), newSandbox(t, "app")
	node.connect(t, "veth-endpoint", "", endpoint)
	node.connect(t, "veth-app", "", app)
	node.down(t, "veth-endpoint")
	h, _ := handlesFor(t, node, endpoint, app)
	want := headAdmin + `
podnet_interface_admin_up{device="eth0",namespace="podnet",pod="app"} 1
podnet_interface_admin_up{device="eth0",namespace="podnet",pod="endpoint-n1"} 1
podnet_interface_admin_up{device="veth-app",namespace="",pod=""} 1
podnet_interface_admin_up{device="veth-endpoint",namespace="",pod=""} 0
` + headUp + `
podnet_interface_up{device="eth0",namespace="podnet",pod="app"} 1
podnet_interface_up{device="eth0",namespace="podnet",pod="endpoint-n1"} 0
podnet_interface_up{device="veth-app",namespace="",pod=""} 1
podnet_interface_up{device="veth-endpoint",namespace="",pod=""} 0
`
	if err := testutil.CollectAndCompare(setOf("interface", NewInterface(h)), strings.NewReader(want),
		"podnet_interface_up", "podnet_interface_admin_up"); err != nil {
		t.Error(err)
	}
}

func TestInterfaceFollowsWhatChangesBetweenScrapes(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "endpoint-n1")
	node.bridge(t, "cni0")
	node.connect(t, "veth-endpoint", "cni0", pod)
	h, _ := handlesFor(t, node, pod)
	set := setOf("interface", NewInterface(h))
	testutil.CollectAndCount(set)

	host := node.link(t, "veth-endpoint")
	if err := node.handle.LinkSetNoMaster(host); err != nil {
		t.Fatal(err)
	}
	if err := node.handle.LinkSetMTU(host, 1400); err != nil {
		t.Fatal(err)
	}
	want := headInfo + `
podnet_interface_info{device="cni0",kind="bridge",master="",namespace="",peer="",peer_namespace="",peer_pod="",pod=""} 1
podnet_interface_info{device="eth0",kind="veth",master="",namespace="podnet",peer="veth-endpoint",peer_namespace="",peer_pod="",pod="endpoint-n1"} 1
podnet_interface_info{device="veth-endpoint",kind="veth",master="",namespace="",peer="podnet/endpoint-n1:eth0",peer_namespace="podnet",peer_pod="endpoint-n1",pod=""} 1
` + headMTU + `
podnet_interface_mtu_bytes{device="cni0",namespace="",pod=""} 1500
podnet_interface_mtu_bytes{device="eth0",namespace="podnet",pod="endpoint-n1"} 1450
podnet_interface_mtu_bytes{device="veth-endpoint",namespace="",pod=""} 1400
`
	if err := testutil.CollectAndCompare(set, strings.NewReader(want), "podnet_interface_info", "podnet_interface_mtu_bytes"); err != nil {
		t.Error(err)
	}
}
