package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

func TestKubernetes(t *testing.T) {
	reg := prometheus.NewRegistry()
	enabled := true
	k := NewKubernetes(reg, func() (discovery.KubernetesStatus, bool) {
		return discovery.KubernetesStatus{
			APIUp:      true,
			Known:      map[discovery.Part]bool{discovery.PartAgents: true, discovery.PartEvents: false},
			Failures:   map[string]uint64{"events": 2},
			Conditions: []discovery.Condition{{Type: "Ready", Status: "false", Reason: "NetworkPluginNotReady"}, {Type: "Schedulable", Status: "true"}},
			Endpoint:   discovery.EndpointPod{State: "starting", Reason: "ContainerCreating"},
			Sandbox:    map[discovery.SandboxFailure]uint64{discovery.NoAddresses: 3, discovery.PluginError: 0},
			Late:       map[discovery.SandboxFailure]int{discovery.NoAddresses: 1, "": 0},
		}, enabled
	})
	want := `
# HELP podnet_kubernetes_api_up 1 if the API server answers and every watch is live, 0 while it is away: the last known mesh goes on.
# TYPE podnet_kubernetes_api_up gauge
podnet_kubernetes_api_up 1
# HELP podnet_kubernetes_endpoint_pod_state 1 for the present state of this node's endpoint pod (running, not_ready, starting, failed, terminating, missing), and why a container of it, or its sandbox, does not run.
# TYPE podnet_kubernetes_endpoint_pod_state gauge
podnet_kubernetes_endpoint_pod_state{reason="ContainerCreating",state="starting"} 1
# HELP podnet_kubernetes_node_condition 1 for each condition of this node's Node with its present status (true, false, unknown). reason is empty while it is as it should be. Schedulable is false while the node is cordoned or drained.
# TYPE podnet_kubernetes_node_condition gauge
podnet_kubernetes_node_condition{condition="Ready",reason="NetworkPluginNotReady",status="false"} 1
podnet_kubernetes_node_condition{condition="Schedulable",reason="",status="true"} 1
# HELP podnet_kubernetes_pods_without_sandbox Pods of this node that have had no network sandbox for more than 10 seconds, by their latest failure; none if no failure was reported.
# TYPE podnet_kubernetes_pods_without_sandbox gauge
podnet_kubernetes_pods_without_sandbox{reason="no_addresses"} 1
podnet_kubernetes_pods_without_sandbox{reason="none"} 0
# HELP podnet_kubernetes_sandbox_failures_total Network sandboxes of pods of this node that could not be set up since the agent started (events FailedCreatePodSandBox), by reason.
# TYPE podnet_kubernetes_sandbox_failures_total counter
podnet_kubernetes_sandbox_failures_total{reason="no_addresses"} 3
podnet_kubernetes_sandbox_failures_total{reason="plugin_error"} 0
# HELP podnet_kubernetes_source_ok 1 if this part of what discovery reads is known, 0 if a permission, a Service or an object is missing; the log says which. agents and endpoints are the EndpointSlices of the two Services.
# TYPE podnet_kubernetes_source_ok gauge
podnet_kubernetes_source_ok{resource="agents"} 1
podnet_kubernetes_source_ok{resource="events"} 0
# HELP podnet_kubernetes_watch_errors_total Lists and watches that failed, by resource of the API.
# TYPE podnet_kubernetes_watch_errors_total counter
podnet_kubernetes_watch_errors_total{resource="events"} 2
`
	if err := testutil.CollectAndCompare(k, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	enabled = false
	if n := testutil.CollectAndCount(k); n != 0 {
		t.Errorf("%d series without Kubernetes; want none", n)
	}
}
