package collectors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// TCP reports what the transport protocols of the node and of its pods lost:
// retransmits, connections that a listener had no room for, and datagrams
// that found no room or no socket.
//
// Source: /proc/net/netstat, /proc/net/snmp and /proc/net/snmp6 of each
// namespace (kernel: net/ipv4/proc.c, net/ipv6/proc.c), which count since the
// namespace was made. The counters of TCP are of both address families; those
// of UDP are the sums of both.
//
// Of a pod of which little is reported the counters of what it failed to take
// or send appear when they are not 0.
type TCP struct {
	handles  *Handles
	counters []transportCounter
	buffers  sync.Pool
}

// transportCounter is a metric and the counters of the kernel that it adds up.
type transportCounter struct {
	desc    *prometheus.Desc
	sources []string // group and name, as in the file

	// Only of pods that are reported in full: in time it is more than 0 in
	// nearly every pod, and no fault of the pod's.
	fullOnly bool
}

// NewTCP returns a TCP for the namespaces that h lists.
func NewTCP(h *Handles) *TCP {
	counter := func(name, help string, sources ...string) transportCounter {
		return transportCounter{
			desc:    prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, []string{"namespace", "pod"}, nil),
			sources: sources,
		}
	}
	noPorts := counter("udp_no_ports_total", "UDP datagrams that were dropped because no socket is bound to their port.", "UdpNoPorts", "Udp6NoPorts")
	noPorts.fullOnly = true
	retransmits := counter("tcp_retransmits_total", "TCP segments that were sent again.", "TcpRetransSegs")
	retransmits.fullOnly = true
	return &TCP{
		handles: h,
		buffers: sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }},
		counters: []transportCounter{
			retransmits,
			counter("tcp_listen_overflows_total", "Connections that were not accepted because the listener's accept queue was full.", "TcpExtListenOverflows"),
			counter("tcp_listen_drops_total", "Connections that a listener dropped, because of a full accept queue or for any other reason.", "TcpExtListenDrops"),
			counter("udp_receive_buffer_errors_total", "UDP datagrams that were dropped because the socket's receive buffer was full.", "UdpRcvbufErrors", "Udp6RcvbufErrors"),
			counter("udp_send_buffer_errors_total", "UDP datagrams that were not sent because the socket's send buffer was full.", "UdpSndbufErrors", "Udp6SndbufErrors"),
			noPorts,
		},
	}
}

// Describe implements [Collector].
func (c *TCP) Describe(ch chan<- *prometheus.Desc) {
	for _, counter := range c.counters {
		ch <- counter.desc
	}
}

// Collect implements [Collector].
func (c *TCP) Collect(ch chan<- prometheus.Metric) error {
	buffer := c.buffers.Get().(*[]byte)
	defer c.buffers.Put(buffer)
	err := c.handles.each(func(ns Namespace) error {
		stats, err := c.read(ns, buffer)
		if err != nil {
			return err
		}
		brief := c.handles.brief(ns)
		for _, counter := range c.counters {
			if brief && counter.fullOnly {
				continue
			}
			sum := 0.0
			for _, source := range counter.sources {
				sum += float64(stats[source])
			}
			if sum > 0 || !brief {
				ch <- prometheus.MustNewConstMetric(counter.desc, prometheus.CounterValue, sum, ns.Namespace, ns.Pod)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("tcp: %w", err)
	}
	return nil
}

// read returns the counters of a namespace. Without IPv6 there is no snmp6.
func (c *TCP) read(ns Namespace, buffer *[]byte) (netstat, error) {
	stats := netstat{}
	for _, counter := range c.counters {
		for _, source := range counter.sources {
			stats[source] = 0
		}
	}
	for _, file := range []struct {
		name  string
		parse func([]byte) error
	}{
		{"netstat", stats.parseNetstat},
		{"snmp", stats.parseNetstat},
		{"snmp6", stats.parseNetstat6},
	} {
		f, err := c.handles.file(ns, file.name)
		if file.name == "snmp6" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		text, err := readAll(f, buffer)
		if err != nil {
			return nil, err
		}
		if err := file.parse(text); err != nil {
			return nil, err
		}
	}
	return stats, nil
}

// readAll reads f from its begin. The result is valid until buffer is used
// again.
func readAll(f *os.File, buffer *[]byte) ([]byte, error) {
	read := 0
	for {
		n, err := f.ReadAt((*buffer)[read:], int64(read))
		read += n
		if errors.Is(err, io.EOF) {
			return (*buffer)[:read], nil
		}
		if err != nil {
			return nil, err
		}
		*buffer = append(*buffer, make([]byte, len(*buffer))...)
	}
}
