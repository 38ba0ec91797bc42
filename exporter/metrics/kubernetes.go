package metrics

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// Kubernetes exports what the cluster's API server says of this node, and
// whether it can be asked. There are no series while nodes are discovered
// elsewhere.
type Kubernetes struct {
	status func() (discovery.KubernetesStatus, bool)

	up, failures, known, condition, endpoint, sandbox, late *prometheus.Desc
}

// NewKubernetes registers a Kubernetes with reg. Status is false while nodes
// are not discovered in Kubernetes.
func NewKubernetes(reg prometheus.Registerer, status func() (discovery.KubernetesStatus, bool)) *Kubernetes {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName("podnet", "kubernetes", name), help, labels, nil)
	}
	k := &Kubernetes{
		status: status,
		up: desc("api_up",
			"1 if the API server answers and every watch is live, 0 while it is away: the last known mesh goes on."),
		failures: desc("watch_errors_total",
			"Lists and watches that failed, by resource of the API.", "resource"),
		known: desc("source_ok",
			"1 if this part of what discovery reads is known, 0 if a permission, a Service or an object is missing; the log says which. "+
				"agents and endpoints are the EndpointSlices of the two Services.", "resource"),
		condition: desc("node_condition",
			"1 for each condition of this node's Node with its present status (true, false, unknown). reason is empty while it is as it should be. "+
				"Schedulable is false while the node is cordoned or drained.", "condition", "status", "reason"),
		endpoint: desc("endpoint_pod_state",
			"1 for the present state of this node's endpoint pod (running, not_ready, starting, failed, terminating, missing), and why a container of it, or its sandbox, does not run.", "state", "reason"),
		sandbox: desc("sandbox_failures_total",
			"Network sandboxes of pods of this node that could not be set up since the agent started (events FailedCreatePodSandBox), by reason.", "reason"),
		late: desc("pods_without_sandbox",
			"Pods of this node that have had no network sandbox for more than 10 seconds, by their latest failure; none if no failure was reported.", "reason"),
	}
	reg.MustRegister(k)
	return k
}

// Describe implements [prometheus.Collector].
func (k *Kubernetes) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{k.up, k.failures, k.known, k.condition, k.endpoint, k.sandbox, k.late} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (k *Kubernetes) Collect(ch chan<- prometheus.Metric) {
	s, ok := k.status()
	if !ok {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(k.up, boolean(s.APIUp))
	for part, known := range s.Known {
		gauge(k.known, boolean(known), string(part))
	}
	for resource, n := range s.Failures {
		ch <- prometheus.MustNewConstMetric(k.failures, prometheus.CounterValue, float64(n), resource)
	}
	for _, c := range s.Conditions {
		gauge(k.condition, 1, c.Type, c.Status, c.Reason)
	}
	if s.Endpoint.State != "" {
		gauge(k.endpoint, 1, s.Endpoint.State, s.Endpoint.Reason)
	}
	for reason, n := range s.Sandbox {
		ch <- prometheus.MustNewConstMetric(k.sandbox, prometheus.CounterValue, float64(n), string(reason))
	}
	for reason, n := range s.Late {
		gauge(k.late, float64(n), cmp.Or(string(reason), "none"))
	}
}
