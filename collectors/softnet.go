package collectors

import (
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
)

// Softnet reports, per CPU, how the kernel's receive backlog keeps up. The
// backlog belongs to the machine and not to a network namespace. With more than
// 16 CPUs they are added up, as cpu "all".
//
// Source: /proc/net/softnet_stat, one line per online CPU, hexadecimal
// columns (kernel: net/core/net-procfs.c). The counters start at boot. The
// queue length exists since Linux 5.14; older kernels report none.
type Softnet struct {
	fs procfs.FS

	processed, dropped, squeezed, backlog *prometheus.Desc
}

// NewSoftnet returns a Softnet that reads below the given procfs mount.
func NewSoftnet(fs procfs.FS) *Softnet {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "softnet", name), help, []string{"cpu"}, nil)
	}
	return &Softnet{
		fs: fs,
		processed: desc("processed_total",
			"Packets that this CPU took from its receive backlog since boot."),
		dropped: desc("dropped_total",
			"Packets that this CPU dropped since boot because its receive backlog was full (net.core.netdev_max_backlog)."),
		squeezed: desc("squeezed_total",
			"Polls that this CPU ended since boot with packets left, out of budget or time (net.core.netdev_budget)."),
		backlog: desc("backlog_packets",
			"Packets that wait in this CPU's receive backlog now."),
	}
}

// Describe implements [Collector].
func (c *Softnet) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.processed
	ch <- c.dropped
	ch <- c.squeezed
	ch <- c.backlog
}

// Collect implements [Collector].
func (c *Softnet) Collect(ch chan<- prometheus.Metric) error {
	stats, err := c.fs.NetSoftnetStat()
	if err != nil {
		return fmt.Errorf("softnet: %w", err)
	}
	several := len(stats) > maxSoftnetCPUs
	if several {
		stats = addSoftnet(stats)
	}
	for _, s := range stats {
		cpu := strconv.FormatUint(uint64(s.Index), 10)
		if several {
			cpu = "all"
		}
		ch <- prometheus.MustNewConstMetric(c.processed, prometheus.CounterValue, float64(s.Processed), cpu)
		ch <- prometheus.MustNewConstMetric(c.dropped, prometheus.CounterValue, float64(s.Dropped), cpu)
		ch <- prometheus.MustNewConstMetric(c.squeezed, prometheus.CounterValue, float64(s.TimeSqueezed), cpu)
		ch <- prometheus.MustNewConstMetric(c.backlog, prometheus.GaugeValue, float64(s.SoftnetBacklogLen), cpu)
	}
	return nil
}

// maxSoftnetCPUs is how many CPUs have series of their own: a machine may have
// hundreds.
const maxSoftnetCPUs = 16

// addSoftnet returns the sum of all.
func addSoftnet(stats []procfs.SoftnetStat) []procfs.SoftnetStat {
	var sum procfs.SoftnetStat
	for _, s := range stats {
		sum.Processed += s.Processed
		sum.Dropped += s.Dropped
		sum.TimeSqueezed += s.TimeSqueezed
		sum.SoftnetBacklogLen += s.SoftnetBacklogLen
	}
	return []procfs.SoftnetStat{sum}
}
