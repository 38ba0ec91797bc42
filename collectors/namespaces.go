package collectors

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// UnknownPods tells how many pods of this node have a network namespace of
// their own, but no name: discovery does not know them, or not yet. Those that
// are found in spite of an error count.
type UnknownPods interface {
	Unknown() (int, error)
}

// NetworkNamespaces reports which network namespaces the node has, and by
// which path a person can enter each: what "nsenter --net=PATH" needs. Those of
// pods of which little is reported are left out, unless something is wrong there.
type NetworkNamespaces struct {
	handles       *Handles
	pods          UnknownPods
	info, unknown *prometheus.Desc
}

// NewNetworkNamespaces returns a collector of the namespaces that h lists, and of
// how many are not listed because nobody knows their pods.
func NewNetworkNamespaces(h *Handles, pods UnknownPods) *NetworkNamespaces {
	return &NetworkNamespaces{
		handles: h,
		pods:    pods,
		info: prometheus.NewDesc(prometheus.BuildFQName(namespace, "network_namespace", "info"),
			"1 for each network namespace of the node that is reported in full, or in which an interface has another MTU than the endpoint's: its path, for nsenter --net=PATH, and its inode number. An empty pod is the node itself.",
			[]string{"namespace", "pod", "path", "inode"}, nil),
		unknown: prometheus.NewDesc(prometheus.BuildFQName(namespace, "network_namespaces", "unknown"),
			"Network namespaces of this node's pods that are not read because the API server has not told the agent which pods they are. More than 0 for longer than a pod takes to start or to end means that the agent does not hear of its node's pods.",
			nil, nil),
	}
}

// Describe implements [Collector].
func (c *NetworkNamespaces) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.info
	ch <- c.unknown
}

// Collect implements [Collector].
func (c *NetworkNamespaces) Collect(ch chan<- prometheus.Metric) error {
	for _, ns := range c.handles.namespaces.List() {
		if c.handles.brief(ns) && !c.handles.wrong(ns) {
			continue
		}
		ch <- prometheus.MustNewConstMetric(c.info, prometheus.GaugeValue, 1,
			ns.Namespace, ns.Pod, ns.Path, strconv.FormatUint(ns.Inode, 10))
	}
	unknown, err := c.pods.Unknown()
	ch <- prometheus.MustNewConstMetric(c.unknown, prometheus.GaugeValue, float64(unknown))
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("network namespaces: %w: %w", ErrUnsupported, err)
	}
	if err != nil {
		return fmt.Errorf("network namespaces: %w", err)
	}
	return nil
}
