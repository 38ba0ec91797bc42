package collectors

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Interface reports the interfaces of the node and of its pods, all but the
// loopback. There are 13 series per interface.
//
// Of a pod of which little is reported the end in the node's namespace says
// which interface it is and whether it is up; counters of errors and drops, at
// either end, appear when they are not 0, and the MTU of the pod's end when it
// is odd. That is 2 series.
//
// Source: rtnetlink, RTM_GETLINK. Counters start when the interface is made.
type Interface struct {
	handles *Handles
	nsids   *nsids

	receive, transmit directionDescs
	up, adminUp       *prometheus.Desc
	carrierChanges    *prometheus.Desc
	mtu, mtuOdd, info *prometheus.Desc
}

type directionDescs struct {
	bytes, packets, errors, drops *prometheus.Desc
}

// NewInterface returns an Interface for the namespaces that h lists.
func NewInterface(h *Handles) *Interface {
	labels := []string{"device", "namespace", "pod"}
	desc := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "interface", name), help, append(labels[:3:3], more...), nil)
	}
	direction := func(name, verb string) directionDescs {
		return directionDescs{
			bytes:   desc(name+"_bytes_total", "Bytes that the interface "+verb+"."),
			packets: desc(name+"_packets_total", "Packets that the interface "+verb+"."),
			errors:  desc(name+"_errors_total", "Packets that the interface should have "+verb+" and that were bad."),
			drops:   desc(name+"_drops_total", "Packets that the interface should have "+verb+" and dropped."),
		}
	}
	return &Interface{
		handles:  h,
		nsids:    newNsids(h),
		receive:  direction("receive", "received"),
		transmit: direction("transmit", "sent"),
		up: desc("up",
			"1 if the interface is set up (IFF_UP) and has carrier (IFF_LOWER_UP), 0 otherwise. Both ends of a veth lose it when either is set down."),
		adminUp: desc("admin_up",
			"1 if the interface is set up (IFF_UP), whether it has carrier or not, 0 if somebody set it down."),
		carrierChanges: desc("carrier_changes_total",
			"Times that the carrier of the interface came or went."),
		mtu: desc("mtu_bytes",
			"Largest packet that the interface sends, in bytes, without its link-layer header."),
		mtuOdd: desc("mtu_odd_bytes",
			"The MTU of a pod's interface that is not that of the endpoint's of the same name, kind and bridge, while little is reported of other pods. There is none for a pod that has the usual one, and at most ten on a node."),
		info: desc("info",
			"What the interface is. kind: veth, bridge, vxlan and so on, device for hardware. master: the bridge it is a port of. "+
				"peer: the other end of a veth, as namespace/pod:device or, if that is in the node's own namespace, device; empty if unknown. "+
				"peer_namespace, peer_pod: the pod that the other end is in.",
			"kind", "master", "peer", "peer_namespace", "peer_pod"),
	}
}

// Describe implements [Collector].
func (c *Interface) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []directionDescs{c.receive, c.transmit} {
		ch <- d.bytes
		ch <- d.packets
		ch <- d.errors
		ch <- d.drops
	}
	ch <- c.up
	ch <- c.adminUp
	ch <- c.carrierChanges
	ch <- c.mtu
	ch <- c.mtuOdd
	ch <- c.info
}

// Collect implements [Collector].
func (c *Interface) Collect(ch chan<- prometheus.Metric) error {
	var t topology
	err := c.handles.each(func(ns Namespace) error {
		links, err := c.handles.links(ns)
		if err != nil {
			return err
		}
		t.add(ns, links)
		return nil
	})
	c.nsids.keep(t.alive())
	odd := c.oddMTUs(&t)
	c.handles.notice(odd)
	for _, ns := range t.namespaces {
		for _, l := range t.links[ns.Inode] {
			if l.loopback {
				continue
			}
			if r := t.relate(ns, l, c.nsids); c.brief(ns, l, r) {
				c.collectBrief(ch, ns, l, r, odd[ns.Inode][l.index])
			} else {
				c.collect(ch, ns, l, r)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("interface: %w", err)
	}
	return nil
}

// brief tells whether an interface belongs to a pod of which little is
// reported. The port of a bridge whose other end is in a namespace that nobody
// lists belongs to some container.
func (c *Interface) brief(ns Namespace, l link, r relation) bool {
	if !ns.Node {
		return c.handles.brief(ns)
	}
	if r.peerPod != "" {
		return c.handles.briefPod(r.peerNamespace, r.peerPod)
	}
	return c.handles.Brief != nil && r.peer == "" && r.master != "" && l.peerNetns >= 0
}

// collectBrief reports which interface it is and whether it is up, unless the
// other end says so, and what went wrong on it.
func (c *Interface) collectBrief(ch chan<- prometheus.Metric, ns Namespace, l link, r relation, odd bool) {
	labels := []string{l.name, ns.Namespace, ns.Pod}
	for _, counter := range []struct {
		desc *prometheus.Desc
		n    uint64
	}{
		{c.receive.errors, l.receive.errors}, {c.receive.drops, l.receive.drops},
		{c.transmit.errors, l.transmit.errors}, {c.transmit.drops, l.transmit.drops},
	} {
		if counter.n > 0 {
			ch <- prometheus.MustNewConstMetric(counter.desc, prometheus.CounterValue, float64(counter.n), labels...)
		}
	}
	if odd {
		ch <- prometheus.MustNewConstMetric(c.mtuOdd, prometheus.GaugeValue, float64(l.mtu), labels...)
	}
	if !l.adminUp {
		ch <- prometheus.MustNewConstMetric(c.adminUp, prometheus.GaugeValue, 0, labels...)
	}
	if ns.Node || r.peer == "" {
		ch <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, float64(number(l.adminUp && l.carrier)), labels...)
		c.identify(ch, labels, l, r)
	}
}

func (c *Interface) collect(ch chan<- prometheus.Metric, ns Namespace, l link, r relation) {
	labels := []string{l.name, ns.Namespace, ns.Pod}
	counter := func(d *prometheus.Desc, n uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n uint32) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	direction := func(d directionDescs, n traffic) {
		counter(d.bytes, n.bytes)
		counter(d.packets, n.packets)
		counter(d.errors, n.errors)
		counter(d.drops, n.drops)
	}
	direction(c.receive, l.receive)
	direction(c.transmit, l.transmit)
	gauge(c.up, number(l.adminUp && l.carrier))
	gauge(c.adminUp, number(l.adminUp))
	counter(c.carrierChanges, uint64(l.carrierChanges))
	gauge(c.mtu, l.mtu)
	c.identify(ch, labels, l, r)
}

// identify reports what the interface is.
func (c *Interface) identify(ch chan<- prometheus.Metric, labels []string, l link, r relation) {
	kind := l.kind
	if kind == "" {
		kind = "device"
	}
	ch <- prometheus.MustNewConstMetric(c.info, prometheus.GaugeValue, 1,
		append(labels[:3:3], kind, r.master, r.peer, r.peerNamespace, r.peerPod)...)
}

func number(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
