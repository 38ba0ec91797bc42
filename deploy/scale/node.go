package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// nodeCommand prepares the measured node's namespace, and becomes its agent.
const nodeCommand = "node"

// Names of the two ends of the link between the measured node and the rest of
// the cluster. Each is a TUN device, and this program carries the packets: what
// the other side's kernel does with one is not done, and not counted, in the
// agent's send.
const (
	nodeUplink  = "eth0"
	worldUplink = "node0"
)

// manageLink is what both ends of the link are called over which the agent is
// scraped and watches: a pair of veth devices, which pass on what comes together
// as one packet, as network cards do and TUN devices do not.
const manageLink = "manage0"

// world returns the address of the rest of the cluster's namespace, from which
// the measured node is probed.
func world(v6 bool) netip.Addr {
	if v6 {
		return netip.MustParseAddr("fdf2::1")
	}
	return netip.MustParseAddr("10.242.0.1")
}

// openTUN makes a TUN device in the namespace of the calling thread.
func openTUN(name string) (*os.File, netlink.Link, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, nil, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, nil, fmt.Errorf("tun %s: %w", name, err)
	}
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	return os.NewFile(uintptr(fd), name), link, err
}

// connectWorld makes the rest of the cluster's end of the link.
func connectWorld() (*os.File, error) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, err
	}
	tun, link, err := openTUN(worldUplink)
	if err != nil {
		return nil, err
	}
	// Answers come from addresses that are only routed to here.
	if err := netspace.SetSysctl("net/ipv6/ip_nonlocal_bind", "1"); err != nil {
		return nil, err
	}
	for _, v6 := range []bool{false, true} {
		if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: host(world(v6)), Flags: unix.IFA_F_NODAD}); err != nil {
			return nil, err
		}
		for _, service := range []string{agentsService, endpointService} {
			// In the table of local addresses, where all of the others are.
			err := netlink.RouteReplace(&netlink.Route{
				LinkIndex: link.Attrs().Index, Dst: host(address(service, v6, 0)), Src: world(v6).AsSlice(), Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_LINK,
			})
			if err != nil {
				return nil, fmt.Errorf("route to the node: %w", err)
			}
		}
	}
	return tun, nil
}

// connectManagement makes the link for management to the namespace of a
// process.
func connectManagement(pid int) error {
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: manageLink}, PeerName: manageLink, PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("link for management: %w", err)
	}
	return upManagement(worldManaged)
}

// upManagement sets up one end of that link.
func upManagement(addr string) error {
	link, err := netlink.LinkByName(manageLink)
	if err != nil {
		return err
	}
	own, err := netlink.ParseAddr(addr + "/30")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, own); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// runNode configures the namespace of the calling process as the node's,
// connects the pod of a process to it, gives its end of the link to the socket,
// and becomes the agent.
func runNode(ctx context.Context, socket, pod int, agent []string) error {
	if err := upLoopback(); err != nil {
		return err
	}
	tun, link, err := openTUN(nodeUplink)
	if err != nil {
		return err
	}
	for _, v6 := range []bool{false, true} {
		own := address(agentsService, v6, 0)
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: host(own), Flags: unix.IFA_F_NODAD}); err != nil {
			return err
		}
		all := &net.IPNet{IP: make(net.IP, own.BitLen()/8), Mask: net.CIDRMask(0, own.BitLen())}
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: all, Src: own.AsSlice(), Scope: netlink.SCOPE_LINK}); err != nil {
			return fmt.Errorf("default route: %w", err)
		}
	}
	for _, path := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		if err := netspace.SetSysctl(path, "1"); err != nil {
			return err
		}
	}
	if err := plug(pod); err != nil {
		return err
	}
	if err := until(ctx, "link for management", func() error { return upManagement(nodeManaged) }); err != nil {
		return err
	}
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(int(tun.Fd())), nil, 0); err != nil {
		return fmt.Errorf("give away the link: %w", err)
	}
	return fmt.Errorf("%s: %w", agent[0], syscall.Exec(agent[0], agent, os.Environ()))
}

// startNode starts the agent on a node of its own, with the pod of a process,
// and connects the node to the other end of its link until that is closed.
func startNode(c *children, p *proxy, uplink *os.File, pod int, agent ...string) (*exec.Cmd, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	ours := os.NewFile(uintptr(pair[0]), "ours")
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	cmd, err := c.start("agent", []*os.File{theirs}, append([]string{"/proc/self/exe", nodeCommand, fmt.Sprint(pod), "--"}, agent...)...)
	theirs.Close()
	if err != nil {
		return nil, err
	}
	if err := connectManagement(cmd.Process.Pid); err != nil {
		return nil, err
	}
	if err := p.listen(); err != nil {
		return nil, err
	}
	inside, err := receiveFile(ours)
	if err != nil {
		return nil, fmt.Errorf("the node has no link: %w\nits log:\n%s", err, c.log("agent"))
	}
	go carryPackets(uplink, inside)
	go carryPackets(inside, uplink)
	return cmd, nil
}

// receiveFile receives a file descriptor.
func receiveFile(from *os.File) (*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(from.Fd()), make([]byte, 1), oob, 0)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) == 0 {
		return nil, errors.Join(errors.New("nothing came"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fds[0]), nodeUplink), unix.SetNonblock(fds[0], true)
}

// carryPackets carries packets from one TUN device to another until one is
// closed. One that is not taken is lost, as on any link.
func carryPackets(to io.Writer, from io.Reader) {
	packet := make([]byte, 65536)
	for {
		n, err := from.Read(packet)
		if err != nil {
			return
		}
		_, _ = to.Write(packet[:n])
	}
}
