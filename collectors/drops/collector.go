// Package drops reports which packets the kernel drops in the namespaces of
// this node: why, on which interface, of which pod, and, for the packets that
// measure the network, in which kernel function and between which two nodes.
//
// A small eBPF program counts in the kernel at the tracepoint skb:kfree_skb,
// in bounded maps; nothing is sent to user space per packet.
package drops

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf/btf"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/podnet-exporter/podnet_exporter/collectors"
)

// keep is how long counts of a namespace or node that is gone are still
// reported, so that the last of them are scraped.
const keep = 10 * time.Minute

// Options say what to count. Namespaces and Peers are needed; the zero value
// of the others is the usual.
type Options struct {
	Namespaces    collectors.Namespaces
	Peers         collectors.Peers
	ResponderPort uint16 // where probes go over TCP and UDP; 0 means 9798
	MaxDrops      int    // series of podnet_drops_total; 0 means 120
	MaxProbeDrops int    // series of podnet_probe_drops_total; 0 means 200

	// Brief tells of which pods benign drops are not told apart by pod, device
	// and protocol, but only by reason. Nil: of none.
	Brief func(namespace, pod string) bool

	BTF     string // type information of the kernel; "" means that of the running one
	Symbols string // addresses of the kernel's functions; "" means /proc/kallsyms
}

// Collector reports the drops that were counted since it was made. It is safe
// for concurrent use.
//
// A counter appears with its first drop. Rules that need its first increase
// compare with an earlier time (x unless x offset 1m), or let Prometheus ingest
// the created timestamps that new counters have.
type Collector struct {
	options     Options
	unsupported error // why nothing can be counted here, or nil
	nameless    error // why kernel functions have no names here, or nil

	mu        sync.Mutex
	kernel    counter
	reasons   *reasons
	functions *functions
	devices   *devices
	addresses func(in collectors.Namespace) ([]netip.Addr, error)
	own       []netip.Addr // what addresses said of the node at the last Collect
	scope     *scope
	mesh      *mesh
	drops     *table[kernelDropKey]
	probes    *table[kernelProbeKey]
	last      time.Time // of the last Collect, at first when counting began

	dropDesc, probeDesc, missedDesc *prometheus.Desc
}

// counter is the program in the kernel.
type counter interface {
	read() (counts, error)
	forget(drops []kernelDropKey, probes []kernelProbeKey) error
	watchNamespace(inode uint32, on bool) error
	setNode(address netip.Addr, node uint32) error
	removeNode(address netip.Addr) error
	close() error
}

// New starts to count. On a machine where that is not possible the Collector
// is of use all the same: its Collect says what is missing, in an error that
// wraps [collectors.ErrUnsupported].
func New(options Options) (*Collector, error) {
	c, err := newCollector(options)
	if err != nil {
		return nil, err
	}
	if err := c.start(); err != nil {
		if !errors.Is(err, collectors.ErrUnsupported) {
			return nil, err
		}
		c.unsupported = err
	}
	return c, nil
}

// newCollector returns a Collector that does not count yet.
func newCollector(options Options) (*Collector, error) {
	if options.Namespaces == nil || options.Peers == nil {
		return nil, errors.New("drops: needs namespaces and peers")
	}
	if options.ResponderPort == 0 {
		options.ResponderPort = 9798
	}
	if options.MaxDrops == 0 {
		options.MaxDrops = 120
	}
	if options.MaxProbeDrops == 0 {
		options.MaxProbeDrops = 200
	}
	if options.Brief == nil {
		options.Brief = func(string, string) bool { return false }
	}
	if options.Symbols == "" {
		options.Symbols = "/proc/kallsyms"
	}
	return &Collector{
		options:   options,
		functions: newFunctions(options.Symbols),
		devices:   newDevices(),
		addresses: ownAddresses,
		scope:     newScope(),
		mesh:      newMesh(),
		drops:     newTable[kernelDropKey](options.MaxDrops, 2),
		probes:    newTable[kernelProbeKey](options.MaxProbeDrops, 1),
		last:      time.Now(),
		dropDesc: prometheus.NewDesc("podnet_drops_total",
			"Packets that the kernel dropped in this node's network namespaces, by the reason that it gives and what class of reason that is. A packet that is segmented later counts once.",
			[]string{"reason", "class", "protocol", "device", "namespace", "pod"}, nil),
		probeDesc: prometheus.NewDesc("podnet_probe_drops_total",
			"Packets of probes, of any node's, that the kernel dropped here, by reason and kernel function. source_node is the node that probes and peer_node the one probed, whichever way the packet went. Reasons of class benign are left out.",
			[]string{"reason", "function", "device", "namespace", "pod", "source_node", "peer_node", "probe", "direction"}, nil),
		missedDesc: prometheus.NewDesc("podnet_drops_overflow_total",
			"Drops that were not counted because the map in the kernel was full (drops, probe_drops), or because they happened while another drop was being counted on the same CPU (nested).",
			[]string{"map"}, nil),
	}, nil
}

// start brings the program into the kernel, and tells it what it needs to
// know.
func (c *Collector) start() error {
	cache := btf.NewCache()
	spec, err := loadBTF(cache, c.options.BTF)
	if err != nil {
		return fmt.Errorf("drops: %w", unsupported(err))
	}
	if c.reasons, err = newReasons(spec); err != nil {
		return fmt.Errorf("drops: %w", unsupported(fmt.Errorf("kernel gives no drop reasons (needs Linux 5.17): %w", err)))
	}
	p, err := load(kernelTypes{cache, spec}, c.reasons.flags(), c.options.ResponderPort)
	if err != nil {
		return fmt.Errorf("drops: %w", err)
	}
	c.kernel = p
	c.nameless = c.functions.visible("/proc/sys/kernel/kptr_restrict")
	if err := errors.Join(c.readOwn(), c.Refresh()); err != nil {
		return errors.Join(err, c.Close())
	}
	return nil
}

// Refresh tells the program in the kernel which namespaces and peers there are
// now. Drops in a new namespace count from the next Refresh or Collect on.
func (c *Collector) Refresh() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refresh(time.Now())
}

func (c *Collector) refresh(now time.Time) error {
	if c.kernel == nil {
		return nil
	}
	reused, err := c.scope.sync(c.options.Namespaces.List(), now, c.kernel)
	if len(reused) > 0 {
		err = errors.Join(err, c.forget(
			c.drops.matching(func(k kernelDropKey) bool { return slices.Contains(reused, k.Netns) }),
			c.probes.matching(func(k kernelProbeKey) bool { return slices.Contains(reused, k.Netns) })))
	}
	if err != nil {
		return fmt.Errorf("drops: namespaces: %w", err)
	}
	if err := c.mesh.sync(c.options.Peers.Peers(), c.own, now, c.kernel); err != nil {
		return fmt.Errorf("drops: peers: %w", err)
	}
	return nil
}

// readOwn reads which addresses the node has.
func (c *Collector) readOwn() error {
	for _, n := range c.options.Namespaces.List() {
		if !n.Node {
			continue
		}
		own, err := c.addresses(n)
		if err != nil {
			return fmt.Errorf("drops: %w", err)
		}
		c.own = own
	}
	return nil
}

// Describe implements [collectors.Collector].
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.dropDesc
	ch <- c.probeDesc
	ch <- c.missedDesc
}

// Collect implements [collectors.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unsupported != nil {
		return c.unsupported
	}
	if c.kernel == nil {
		return errors.New("drops: closed")
	}
	now := time.Now()
	refreshed := errors.Join(c.readOwn(), c.refresh(now))
	counted, err := c.kernel.read()
	if err != nil {
		return errors.Join(refreshed, fmt.Errorf("drops: %w", err))
	}
	resolved := c.update(counted)
	c.last = now
	c.report(ch, counted.missed)
	if c.nameless != nil {
		resolved = errors.Join(resolved, fmt.Errorf("drops: %w", c.nameless))
	}
	return errors.Join(refreshed, resolved, c.expire(now.Add(-keep)))
}

// report sends what was counted so far.
func (c *Collector) report(ch chan<- prometheus.Metric, m missed) {
	c.drops.collect(c.dropDesc, ch)
	c.probes.collect(c.probeDesc, ch)
	for name, n := range map[string]uint64{"drops": m.drops, "probe_drops": m.probes, "nested": m.nested} {
		ch <- prometheus.MustNewConstMetric(c.missedDesc, prometheus.CounterValue, float64(n), name)
	}
}

// expire forgets the counts of namespaces and nodes that have been gone since
// before a time, here and in the kernel, to make room for others.
func (c *Collector) expire(before time.Time) error {
	err := c.forget(
		c.drops.matching(func(k kernelDropKey) bool { return c.scope.expired(k.Netns, before) }),
		c.probes.matching(func(k kernelProbeKey) bool {
			return c.scope.expired(k.Netns, before) || c.mesh.expired(k.SourceNode, before) || c.mesh.expired(k.PeerNode, before)
		}))
	if err != nil {
		return err
	}
	c.scope.forget(before)
	c.mesh.forget(before)
	return nil
}

func (c *Collector) forget(drops []kernelDropKey, probes []kernelProbeKey) error {
	if err := c.kernel.forget(drops, probes); err != nil {
		return fmt.Errorf("drops: %w", err)
	}
	c.drops.forget(drops)
	c.probes.forget(probes)
	return nil
}

// Close stops counting. Collect fails from then on.
func (c *Collector) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kernel == nil {
		return nil
	}
	err := c.kernel.close()
	c.kernel = nil
	if err != nil {
		return fmt.Errorf("drops: %w", err)
	}
	return nil
}
