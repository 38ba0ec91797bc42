package collectors

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// NetworkNamespaces reports which network namespaces the node has, and by
// which path a person can enter each: what "nsenter --net=PATH" needs.
type NetworkNamespaces struct {
	namespaces Namespaces
	info       *prometheus.Desc
}

// NewNetworkNamespaces returns a collector of the listed namespaces.
func NewNetworkNamespaces(namespaces Namespaces) *NetworkNamespaces {
	return &NetworkNamespaces{
		namespaces: namespaces,
		info: prometheus.NewDesc(prometheus.BuildFQName(namespace, "network_namespace", "info"),
			"1 for each network namespace of the node that is read: its path, for nsenter --net=PATH, and its inode number. An empty pod is the node itself.",
			[]string{"namespace", "pod", "path", "inode"}, nil),
	}
}

// Describe implements [Collector].
func (c *NetworkNamespaces) Describe(ch chan<- *prometheus.Desc) { ch <- c.info }

// Collect implements [Collector].
func (c *NetworkNamespaces) Collect(ch chan<- prometheus.Metric) error {
	for _, ns := range c.namespaces.List() {
		ch <- prometheus.MustNewConstMetric(c.info, prometheus.GaugeValue, 1,
			ns.Namespace, ns.Pod, ns.Path, strconv.FormatUint(ns.Inode, 10))
	}
	return nil
}
