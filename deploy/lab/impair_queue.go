package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/florianl/go-nfqueue"
	"github.com/mdlayher/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// maxQueue is the highest queue number that is tried for a free one.
const maxQueue = 255

// queue is one netfilter queue: packets of a link in one direction.
type queue struct {
	number uint16
	nf     *nfqueue.Nfqueue
	link   link
	holder *holder
	copier copier // used where packets are duplicated
	failed chan<- error
	stop   context.CancelFunc
}

// open takes the first free queue of the namespace. Until rules send packets
// to it none come. The kernel holds at most limit packets; more pass at once,
// as if there were no device.
func (q *queue) open(netnsName string, limit uint32) error {
	ns, err := netns.GetFromName(netnsName)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", netnsName, err)
	}
	defer netspace.Close(ns)
	config := nfqueue.Config{
		NetNS: int(ns), MaxQueueLen: limit, MaxPacketLen: 0xffff,
		Copymode: nfqueue.NfQnlCopyMeta, Flags: nfqueue.NfQaCfgFlagFailOpen,
	}
	if q.link.Duplicate > 0 {
		config.Copymode = nfqueue.NfQnlCopyPacket
	}
	for q.number = 0; q.number <= maxQueue; q.number++ {
		config.NfQueue = q.number
		err = q.bind(&config)
		if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EBUSY) { // another process has it
			return err
		}
	}
	return fmt.Errorf("no free queue in %s: %w", netnsName, err)
}

func (q *queue) bind(config *nfqueue.Config) error {
	nf, err := nfqueue.Open(config)
	if err != nil {
		return fmt.Errorf("netfilter queue: %w", err)
	}
	q.nf = nf
	err = errors.Join(nf.Con.SetReadBuffer(8<<20), nf.Con.SetOption(netlink.NoENOBUFS, true))
	ctx, stop := context.WithCancel(context.Background())
	if err == nil {
		err = nf.RegisterWithErrorFunc(ctx, q.packet, func(err error) int { return q.broken(ctx, err) })
	}
	if err != nil {
		stop()
		return fmt.Errorf("netfilter queue %d: %w", config.NfQueue, errors.Join(err, nf.Con.Close()))
	}
	q.stop = stop
	return nil
}

// broken ends reading for an error that is not the end.
func (q *queue) broken(ctx context.Context, err error) int {
	if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return 0
	}
	q.failed <- fmt.Errorf("netfilter queue %d: %w", q.number, err)
	return 1
}

// packet decides what happens to a packet that the kernel has queued.
func (q *queue) packet(a nfqueue.Attribute) int {
	if a.PacketID == nil {
		return 0
	}
	id := *a.PacketID
	f := q.link.decide(q.holder.now())
	if f.drop {
		q.verdict(id, nfqueue.NfDrop)
		return 0
	}
	q.holder.hold(f.due, func() {
		q.verdict(id, nfqueue.NfAccept)
		if f.copy {
			q.copy(a)
		}
	})
	return 0
}

func (q *queue) verdict(id uint32, verdict int) {
	// ENOENT is no error: the packet is gone, for its device is.
	if err := q.nf.SetVerdict(id, verdict); err != nil && !errors.Is(err, unix.ENOENT) {
		q.fail(fmt.Errorf("netfilter queue %d: verdict: %w", q.number, err))
	}
}

func (q *queue) copy(a nfqueue.Attribute) {
	if a.Payload == nil {
		q.fail(fmt.Errorf("netfilter queue %d: no packet to copy", q.number))
		return
	}
	// What cannot be sent now could not have been sent twice either.
	_ = q.copier.send(*a.Payload)
}

// fail says that the device does not do its work; the first error is enough.
func (q *queue) fail(err error) {
	select {
	case q.failed <- err:
	default:
	}
}

// close gives the queue back. The holder must have ended.
func (q *queue) close() error {
	q.stop()
	return q.nf.Close()
}

func newLink(i impairment) link {
	return link{impairment: i, random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
}
