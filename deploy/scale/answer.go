package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// podCommand is the endpoint of the measured node: a process in a network
// namespace and control group like those of a pod.
const podCommand = "pod"

// Names of devices: of the pod's link in the node, and in the pod.
const (
	nodeLink = "pod0"
	podLink  = "eth0"
)

// upLoopback sets the loopback device of the calling thread's namespace up.
func upLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// localise puts the addresses of all other nodes and their endpoints on the
// loopback device, whose kernel answers for them.
func localise() error {
	if err := upLoopback(); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, prefix := range []string{"10.20.0.0/16", "10.244.0.0/16", "fd14::/16", "fdf4::/16"} {
		_, dst, err := net.ParseCIDR(prefix)
		if err != nil {
			return err
		}
		route := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Type: 2 /* RTN_LOCAL */, Table: 255, Scope: netlink.SCOPE_HOST}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("route %s: %w", prefix, err)
		}
	}
	return nil
}

// plug connects the pod of a process to the node.
func plug(pid int) error {
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: nodeLink}, PeerName: podLink, PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("link of the pod: %w", err)
	}
	link, err := netlink.LinkByName(nodeLink)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for _, v6 := range []bool{false, true} {
		gateway := gatewayOf(v6)
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: host(gateway), Flags: 0x02 /* IFA_F_NODAD */}); err != nil {
			return err
		}
		to := address(endpointService, v6, 0)
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: host(to), Scope: netlink.SCOPE_LINK}); err != nil {
			return fmt.Errorf("route to the pod: %w", err)
		}
	}
	return nil
}

func gatewayOf(v6 bool) netip.Addr {
	if v6 {
		return netip.MustParseAddr("fdf3::ffff")
	}
	return netip.MustParseAddr("10.243.255.1")
}

func host(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

// runPod configures the pod's side of the link, and answers as its endpoint.
func runPod(ctx context.Context, keyFile string) error {
	key, err := probers.ReadKeyFile(keyFile)
	if err != nil {
		return err
	}
	var link netlink.Link
	if err := upLoopback(); err != nil {
		return err
	}
	if err := until(ctx, "the pod's link", func() error { link, err = netlink.LinkByName(podLink); return err }); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for _, v6 := range []bool{false, true} {
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: host(address(endpointService, v6, 0)), Flags: 0x02}); err != nil {
			return err
		}
		gateway := gatewayOf(v6)
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: host(gateway), Scope: netlink.SCOPE_LINK}); err != nil {
			return err
		}
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice(), Dst: &net.IPNet{IP: make(net.IP, gateway.BitLen()/8), Mask: net.CIDRMask(0, gateway.BitLen())}}); err != nil {
			return err
		}
	}
	r, err := probers.NewResponder(probers.ResponderOptions{
		Listen: ":9798", Node: nodeName(0), Namespace: namespace, Pod: podName(endpointService, 0), Version: "scale", Key: key,
	})
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

// putInCgroup makes a process one of a pod, by a control group named as a
// kubelet names it. It returns what removes the group.
func putInCgroup(pid int, uid string) (remove func(), err error) {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/pids"} {
		if _, err = os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			continue
		}
		dirs := []string{filepath.Join(root, "kubepods-scale")}
		dirs = append(dirs, filepath.Join(dirs[0], "kubepods"), filepath.Join(dirs[0], "kubepods", "pod"+uid))
		dirs = append(dirs, filepath.Join(dirs[2], strings.Repeat("a", 64)))
		remove = func() {
			for i := len(dirs) - 1; i >= 0; i-- {
				_ = os.Remove(dirs[i])
			}
		}
		if err = os.MkdirAll(dirs[3], 0o755); err == nil {
			err = os.WriteFile(filepath.Join(dirs[3], "cgroup.procs"), []byte(fmt.Sprint(pid)), 0)
		}
		if err == nil {
			return remove, nil
		}
		remove()
	}
	return nil, fmt.Errorf("no control group for the pod: %w", err)
}

// answer answers UDP probes and connections to the addresses of all other
// nodes and their endpoints, each in its name.
func answer(key []byte) error {
	tcp, err := net.Listen("tcp", ":9798")
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				time.Sleep(time.Second)
				conn.Close()
			}()
		}
	}()
	for _, network := range []string{"udp4", "udp6"} {
		conn, err := net.ListenPacket(network, ":9798")
		if err != nil {
			return err
		}
		if network == "udp4" {
			err = ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst, true)
		} else {
			err = ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst, true)
		}
		if err != nil {
			return err
		}
		go echo(conn.(*net.UDPConn), probers.NewUDPCodec(key))
	}
	return nil
}

func echo(conn *net.UDPConn, codec *probers.UDPCodec) {
	packet, oob := make([]byte, 65536), make([]byte, 256)
	for received := uint64(1); ; received++ {
		n, m, _, from, err := conn.ReadMsgUDPAddrPort(packet, oob)
		if err != nil {
			return
		}
		now := time.Now().UnixNano()
		to, source := destination(oob[:m])
		p, err := codec.Parse(packet[:n])
		if err != nil || p.Type != probers.UDPRequest {
			continue
		}
		p.Type, p.Received, p.ReceivedAt, p.RepliedAt, p.Identity = probers.UDPReply, p.Sequence, now, time.Now().UnixNano(), identityAt(to)
		codec.Marshal(packet[:n], p)
		_, _, _ = conn.WriteMsgUDPAddrPort(packet[:n], source, from)
	}
}

// destination returns the address that a packet was sent to, and what sends
// the answer from it.
func destination(oob []byte) (netip.Addr, []byte) {
	var four ipv4.ControlMessage
	if four.Parse(oob) == nil && four.Dst != nil && four.Dst.To4() != nil {
		a, _ := netip.AddrFromSlice(four.Dst.To4())
		return a, (&ipv4.ControlMessage{Src: four.Dst}).Marshal()
	}
	var six ipv6.ControlMessage
	if six.Parse(oob) == nil && six.Dst != nil {
		a, _ := netip.AddrFromSlice(six.Dst)
		return a, (&ipv6.ControlMessage{Src: six.Dst}).Marshal()
	}
	return netip.Addr{}, nil
}

// identityAt returns who is at an address of the mesh.
func identityAt(a netip.Addr) uint64 {
	if !a.IsValid() {
		return 0
	}
	b := a.AsSlice()
	n := int(b[len(b)-2])<<8 | int(b[len(b)-1])
	if b[1] == 20 {
		return probers.UDPIdentity(nodeName(n), "", "")
	}
	return probers.UDPIdentity(nodeName(n), namespace, podName(endpointService, n))
}
