package collectors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"github.com/mdlayher/netlink"
	"github.com/prometheus/client_golang/prometheus"
	nf "github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"
)

// Conntrack reports how full the connection tracking table of each namespace
// is, and what went wrong in it.
//
// A namespace that never tracked a connection has entries 0 and no counters:
// most pods. Once it has tracked one its counters are there for as long as it
// lives, and were 0 before. Of a pod of which little is reported there are
// entries and limit while its table is more than a quarter full, and counters
// of dropped packets that are not 0.
//
// Source: /proc/sys/net/netfilter for entries and limit, and nfnetlink's
// IPCTNL_MSG_CT_GET_STATS_CPU for the counters (kernel:
// net/netfilter/nf_conntrack_netlink.c), which needs CAP_NET_ADMIN and the
// module nf_conntrack_netlink. The kernel's counters have 32 bits per CPU.
// Entries and limit are not read through netlink, because the kernel marks
// that answer as one of several and never says that it was the last.
type Conntrack struct {
	handles *Handles

	mu   sync.Mutex
	used map[uint64]bool // by Namespace.Inode: has tracked a connection

	entries, limit *prometheus.Desc
	counters       []conntrackCounter
}

// conntrackCounter is a per-CPU counter, by its attribute (enum
// ctattr_stats_cpu).
type conntrackCounter struct {
	attribute uint16
	desc      *prometheus.Desc
	loss      bool // each is a packet, or an entry, that was dropped
}

// NewConntrack returns a Conntrack for the namespaces that h lists.
func NewConntrack(h *Handles) *Conntrack {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "conntrack", name), help, []string{"network_namespace"}, nil)
	}
	return &Conntrack{
		handles: h,
		used:    map[uint64]bool{},
		entries: desc("entries",
			"Connections that the network namespace tracks now, 0 where connection tracking is not in use."),
		limit: desc("limit",
			"Connections that the network namespace may track (net.netfilter.nf_conntrack_max); at the limit packets of new ones are dropped."),
		counters: []conntrackCounter{
			{2, desc("found_total", "Lookups that found an entry; the kernel counts only those for a new tuple that was taken."), false},
			{4, desc("invalid_total", "Packets that could not be tracked because they belong to no known connection or are malformed."), false},
			{9, desc("insert_failed_total", "Entries that were not inserted because another packet had inserted the same one meanwhile: the packet is dropped."), true},
			{10, desc("drop_total", "Packets that were dropped because no entry could be made: the table is full, or memory is short."), true},
			{11, desc("early_drop_total", "Entries that were removed before their time to make room in a full table."), true},
			{12, desc("error_total", "Packets that could not be tracked because their ICMP or transport header is in error."), false},
			{13, desc("search_restart_total", "Lookups that were begun again because the table was resized meanwhile."), false},
			{14, desc("clash_resolve_total", "Inserts that raced with another packet of the same connection and were resolved without loss."), false},
			{15, desc("chain_too_long_total", "Entries that were not inserted because their hash chain is too long: the packet is dropped."), true},
		},
	}
}

// Describe implements [Collector].
func (c *Conntrack) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.entries
	ch <- c.limit
	for _, counter := range c.counters {
		ch <- counter.desc
	}
}

// Collect implements [Collector].
func (c *Conntrack) Collect(ch chan<- prometheus.Metric) error {
	alive := map[uint64]bool{}
	err := c.handles.each(func(ns Namespace) error {
		alive[ns.Inode] = true
		return c.collect(ch, ns)
	})
	c.keep(alive)
	if err != nil {
		return fmt.Errorf("conntrack: %w", unsupported(err))
	}
	return nil
}

// unsupported tells a kernel or an agent that cannot read conntrack apart
// from a passing failure.
func unsupported(err error) error {
	switch {
	case errors.Is(err, ErrUnsupported):
		return err
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w: give the agent CAP_NET_ADMIN", ErrUnsupported, err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: %w: load the kernel module nf_conntrack_netlink", ErrUnsupported, err)
	}
	return err
}

func (c *Conntrack) collect(ch chan<- prometheus.Metric, ns Namespace) error {
	name := ns.Name()
	table, ok, err := c.table(ns)
	if err != nil {
		return err
	}
	brief := c.handles.brief(ns)
	said := !brief || table.entries > table.limit/4
	if said {
		ch <- prometheus.MustNewConstMetric(c.entries, prometheus.GaugeValue, float64(table.entries), name)
	}
	if !ok {
		return nil
	}
	if said {
		ch <- prometheus.MustNewConstMetric(c.limit, prometheus.GaugeValue, float64(table.limit), name)
	}

	answer, err := c.handles.query(ns, netfilter, conntrackRequest())
	if err != nil {
		return err
	}
	counters, err := parseConntrackCounters(answer)
	if err != nil {
		return err
	}
	if !c.inUse(ns, table, counters) {
		return nil
	}
	for _, counter := range c.counters {
		if n, ok := counters[counter.attribute]; ok && (!brief || counter.loss && n > 0) {
			ch <- prometheus.MustNewConstMetric(counter.desc, prometheus.CounterValue, float64(n), name)
		}
	}
	return nil
}

// inUse tells whether the namespace tracks connections, or has done so. The
// node's counters are always reported.
func (c *Conntrack) inUse(ns Namespace, table conntrackTable, counters map[uint16]uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	used := c.used[ns.Inode] || ns.Node || table.entries > 0
	for _, n := range counters {
		used = used || n > 0
	}
	if used {
		c.used[ns.Inode] = true
	}
	return used
}

func (c *Conntrack) keep(alive map[uint64]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for inode := range c.used {
		if !alive[inode] {
			delete(c.used, inode)
		}
	}
}

// conntrackTable is the state of a namespace's table.
type conntrackTable struct {
	entries, limit uint64
}

// table reads the state of the namespace's table, and tells whether there is
// one: without the module nf_conntrack nothing is tracked.
func (c *Conntrack) table(ns Namespace) (conntrackTable, bool, error) {
	var t conntrackTable
	for _, file := range []struct {
		name  string
		value *uint64
	}{
		{"nf_conntrack_count", &t.entries},
		{"nf_conntrack_max", &t.limit},
	} {
		f, err := open(c.handles, ns, file.name, func() (*os.File, error) {
			return os.Open("/proc/sys/net/netfilter/" + file.name)
		})
		if err == nil {
			*file.value, err = readNumber(f)
		}
		switch {
		case gone(err):
			return t, false, err
		case errors.Is(err, fs.ErrNotExist):
			return t, false, nil
		case err != nil:
			return t, false, fmt.Errorf("%s: %w", file.name, err)
		}
	}
	return t, true, nil
}

// readNumber reads a file of /proc/sys from its begin.
func readNumber(f *os.File) (uint64, error) {
	var text [24]byte
	n, err := f.ReadAt(text[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return strconv.ParseUint(string(bytes.TrimSpace(text[:n])), 10, 64)
}

// conntrackRequest asks for the counters of every CPU.
func conntrackRequest() netlink.Message {
	const (
		getStatsCPU      = 4 // IPCTNL_MSG_CT_GET_STATS_CPU
		versionAndFamily = 4 // struct nfgenmsg: any family, version 0, no resource
	)
	return netlink.Message{
		Header: netlink.Header{
			Type:  netlink.HeaderType(uint16(nf.NFSubsysCTNetlink)<<8 | getStatsCPU),
			Flags: netlink.Request | netlink.Dump,
		},
		Data: make([]byte, versionAndFamily),
	}
}

// parseConntrackCounters sums the answers to IPCTNL_MSG_CT_GET_STATS_CPU, one
// message per CPU, by attribute. What the kernel does not count is absent.
func parseConntrackCounters(answer []netlink.Message) (map[uint16]uint64, error) {
	sums := make(map[uint16]uint64, 16)
	for _, m := range answer {
		attrs, err := conntrackAttributes(m)
		if err != nil {
			return nil, err
		}
		for attrs.Next() {
			sums[attrs.Type()] += uint64(attrs.Uint32())
		}
		if err := attrs.Err(); err != nil {
			return nil, fmt.Errorf("counters: %w", err)
		}
	}
	return sums, nil
}

// conntrackAttributes returns the attributes behind the message's nfgenmsg;
// their values are in network byte order.
func conntrackAttributes(m netlink.Message) (*netlink.AttributeDecoder, error) {
	if len(m.Data) < 4 {
		return nil, errShort
	}
	_, attrs, err := nf.DecodeNetlink(m)
	return attrs, err
}
