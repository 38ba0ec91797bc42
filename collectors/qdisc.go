package collectors

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// Qdisc reports the queues in front of the interfaces of the node and of its
// pods: one root qdisc per device, 4 series each. A device without a queue
// (noqueue: veths, bridges, tunnels as they are made) has none. Those that a
// node has one of for every pod, a veth or ifb that limits a pod's rate, and
// those of pods of which little is reported, are reported once they have
// dropped a packet, and while packets wait in them.
//
// The root's figures cover its children: a classful qdisc counts what its
// classes drop and hold, and mq and mqprio add up their queues. The kernel
// counts in 32 bits, from 0 again when the qdisc is replaced.
//
// Source: rtnetlink, RTM_GETQDISC.
type Qdisc struct {
	handles *Handles

	drops, overlimits            *prometheus.Desc
	backlogBytes, backlogPackets *prometheus.Desc
}

// NewQdisc returns a Qdisc for the namespaces that h lists.
func NewQdisc(h *Handles) *Qdisc {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "qdisc", name), help,
			[]string{"device", "namespace", "pod", "kind"}, nil)
	}
	return &Qdisc{
		handles: h,
		drops: desc("drops_total",
			"Packets that the root qdisc of the device dropped instead of sending them: its queue was full, or its algorithm chose to."),
		overlimits: desc("overlimits_total",
			"Times that the root qdisc of the device held a packet back, or dropped one, because a rate or a limit was reached."),
		backlogBytes: desc("backlog_bytes",
			"Bytes that wait in the root qdisc of the device now."),
		backlogPackets: desc("backlog_packets",
			"Packets that wait in the root qdisc of the device now."),
	}
}

// Describe implements [Collector].
func (c *Qdisc) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.drops
	ch <- c.overlimits
	ch <- c.backlogBytes
	ch <- c.backlogPackets
}

// Collect implements [Collector].
func (c *Qdisc) Collect(ch chan<- prometheus.Metric) error {
	err := c.handles.each(func(ns Namespace) error { return c.collect(ch, ns) })
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = fmt.Errorf("%w: the kernel has no queueing disciplines (CONFIG_NET_SCHED): %w", ErrUnsupported, err)
	}
	if err != nil {
		return fmt.Errorf("qdisc: %w", err)
	}
	return nil
}

// collect asks for the names of the devices only where one has a queue.
func (c *Qdisc) collect(ch chan<- prometheus.Metric, ns Namespace) error {
	queues, err := c.handles.queues(ns)
	if err != nil || len(queues) == 0 {
		return err
	}
	links, err := c.handles.links(ns)
	if err != nil {
		return err
	}
	for _, l := range links {
		q, ok := queues[l.index]
		ofPod := c.handles.brief(ns) || c.handles.Brief != nil && (l.kind == "veth" || l.kind == "ifb")
		if ok && (!ofPod || q.drops > 0 || q.backlogPackets > 0) {
			c.report(ch, q, l.name, ns.Namespace, ns.Pod, q.kind)
		}
	}
	return nil
}

func (c *Qdisc) report(ch chan<- prometheus.Metric, q qdisc, labels ...string) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, n uint32) {
		ch <- prometheus.MustNewConstMetric(d, kind, float64(n), labels...)
	}
	send(c.drops, prometheus.CounterValue, q.drops)
	send(c.overlimits, prometheus.CounterValue, q.overlimits)
	send(c.backlogBytes, prometheus.GaugeValue, q.backlogBytes)
	send(c.backlogPackets, prometheus.GaugeValue, q.backlogPackets)
}

// qdisc is a queueing discipline as RTM_NEWQDISC describes it.
type qdisc struct {
	device     int32  // index of the interface
	root       bool   // not the child of another qdisc, and not an ingress hook
	kind       string // TCA_KIND: fq_codel, mq, tbf, noqueue…
	drops      uint32 // packets
	overlimits uint32

	backlogBytes, backlogPackets uint32
}

const (
	tcMsgLen = 20         // struct tcmsg
	tcRoot   = 0xFFFFFFFF // TC_H_ROOT

	tcaStatsQueue    = 3 // TCA_STATS_QUEUE
	tcaStatsQueueLen = 5 * 4
)

// queues lists the root qdiscs of a namespace by the index of their device,
// those that can hold packets only. Needs no capability.
func (h *Handles) queues(ns Namespace) (map[int32]qdisc, error) {
	answer, err := h.query(ns, rtnetlink, netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETQDISC, Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, tcMsgLen),
	})
	if err != nil {
		return nil, err
	}
	queues := make(map[int32]qdisc)
	for _, m := range answer {
		q, err := parseQdisc(m.Data)
		if err != nil {
			return nil, err
		}
		if q.root && q.kind != "noqueue" {
			queues[q.device] = q
		}
	}
	return queues, nil
}

// parseQdisc reads the payload of an RTM_NEWQDISC message.
//
// Source: rtnetlink(7), kernel: include/uapi/linux/rtnetlink.h.
func parseQdisc(b []byte) (qdisc, error) {
	var q qdisc
	if len(b) < tcMsgLen {
		return q, fmt.Errorf("qdisc: %w", errShort)
	}
	q.device = int32(binary.NativeEndian.Uint32(b[4:]))
	q.root = binary.NativeEndian.Uint32(b[12:]) == tcRoot

	attrs, err := netlink.NewAttributeDecoder(b[tcMsgLen:])
	if err != nil {
		return q, fmt.Errorf("qdisc: %w", err)
	}
	for attrs.Next() {
		switch attrs.Type() {
		case unix.TCA_KIND:
			q.kind = attrs.String()
		case unix.TCA_STATS2:
			attrs.Nested(q.parseStats)
		}
	}
	if err := attrs.Err(); err != nil {
		return q, fmt.Errorf("qdisc: %w", err)
	}
	return q, nil
}

// parseStats reads struct gnet_stats_queue (kernel:
// include/uapi/linux/gen_stats.h), one of the parts of TCA_STATS2.
func (q *qdisc) parseStats(part *netlink.AttributeDecoder) error {
	for part.Next() {
		if part.Type() != tcaStatsQueue {
			continue
		}
		b := part.Bytes()
		if len(b) < tcaStatsQueueLen {
			return fmt.Errorf("statistics: %w", errShort)
		}
		word := func(i int) uint32 { return binary.NativeEndian.Uint32(b[i*4:]) }
		q.backlogPackets, q.backlogBytes = word(0), word(1)
		q.drops, q.overlimits = word(2), word(4)
	}
	return nil
}
