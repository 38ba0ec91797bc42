package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The uplink of a node that is too slow for its load. A sender whose window is
// as large as what the uplink sends in queueDelay keeps a queue of that length
// in front of it, without a single loss.
const (
	queueRate  = 40_000_000 / 8 // bytes a second
	queueDelay = 50 * time.Millisecond
	queueBurst = 3000                                      // bytes that the token bucket lets through at once
	queueLimit = queueRate / 2                             // bytes that it holds at most: half a second
	fullQueue  = int(queueRate * queueDelay / time.Second) // bytes
	loadWindow = fullQueue * 9 / 10                        // without the headers, of which a tunnel adds some
)

// loadOf returns the name of the process that loads the node's uplink.
func loadOf(n NodePlan) string { return "load-" + n.Name }

// fillUplink gives the node's uplink a token bucket, and lets its pod "app"
// send as fast as it can to the one of the next node.
func fillUplink(ctx context.Context, l *Lab, n NodePlan) error {
	if err := setBucket(n.Netns, "eth0"); err != nil {
		return err
	}
	if _, err := l.proc(loadOf(n)); err == nil {
		return nil
	}
	peer := l.Plan.next(n)
	err := l.startSelf(loadOf(n), n.AppNetns, []string{
		loadCommandName, "--from=" + n.AppNetns, "--to=" + peer.AppNetns,
		fmt.Sprintf("--address=%s:%d", peer.App4, loadPort), fmt.Sprintf("--window=%d", loadWindow),
	})
	if err != nil {
		return err
	}
	return l.waitFor(ctx, loadOf(n), func() (bool, error) {
		bytes, err := backlog(n.Netns, "eth0")
		return bytes >= uint32(fullQueue)/2, err
	})
}

// backlog returns how many bytes wait in the token bucket of a device.
func backlog(netnsName, device string) (bytes uint32, err error) {
	err = setLinks(netnsName, func(h *netlink.Handle, link netlink.Link) error {
		qdiscs, err := h.QdiscList(link)
		if err != nil {
			return err
		}
		for _, q := range qdiscs {
			if stats := q.Attrs().Statistics; q.Type() == "tbf" && stats != nil && stats.Queue != nil {
				bytes = stats.Queue.Backlog
			}
		}
		return nil
	}, device)
	return bytes, err
}

// emptyUplink undoes fillUplink.
func emptyUplink(_ context.Context, l *Lab, n NodePlan) error {
	return errors.Join(l.stopProcess(loadOf(n)), removeBucket(n.Netns, "eth0"))
}

// setBucket makes a token bucket the root qdisc of a device (tc-tbf(8)).
func setBucket(netnsName, device string) error {
	return setLinks(netnsName, func(h *netlink.Handle, link netlink.Link) error {
		return h.QdiscReplace(&netlink.Tbf{
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
			Rate:       queueRate, Limit: queueLimit, Buffer: netlink.Xmittime(queueRate, queueBurst),
		})
	}, device)
}

// removeBucket gives a device the qdisc back that it had; there may be no
// bucket.
func removeBucket(netnsName, device string) error {
	return setLinks(netnsName, func(h *netlink.Handle, link netlink.Link) error {
		qdiscs, err := h.QdiscList(link)
		if err != nil {
			return err
		}
		for _, q := range qdiscs {
			if _, ok := q.(*netlink.Tbf); !ok {
				continue
			}
			if err := h.QdiscDel(q); err != nil && !errors.Is(err, unix.ENOENT) {
				return err
			}
		}
		return nil
	}, device)
}
