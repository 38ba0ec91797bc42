package discovery

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestMaintenanceOfANode(t *testing.T) {
	taint := func(key string, effect corev1.TaintEffect) corev1.NodeSpec {
		return corev1.NodeSpec{Taints: []corev1.Taint{{Key: key, Effect: effect}}}
	}
	now := metav1.Now()
	tests := []struct {
		name string
		node corev1.Node
		want State
	}{
		{"usual", corev1.Node{}, Ready},
		{"cordoned", corev1.Node{Spec: corev1.NodeSpec{Unschedulable: true}}, Cordoned},
		{"deleted", corev1.Node{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}}, Draining},
		{"cluster-autoscaler deletes it", corev1.Node{Spec: taint("ToBeDeletedByClusterAutoscaler", corev1.TaintEffectNoSchedule)}, Draining},
		{"cluster-autoscaler may delete it", corev1.Node{Spec: taint("DeletionCandidateOfClusterAutoscaler", corev1.TaintEffectPreferNoSchedule)}, Ready},
		{"karpenter disrupts it", corev1.Node{Spec: taint("karpenter.sh/disrupted", corev1.TaintEffectNoSchedule)}, Draining},
		{"older karpenter disrupts it", corev1.Node{Spec: taint("karpenter.sh/disruption", corev1.TaintEffectNoSchedule)}, Draining},
		{"out of service", corev1.Node{Spec: taint("node.kubernetes.io/out-of-service", corev1.TaintEffectNoExecute)}, Draining},
		{"unreachable", corev1.Node{Spec: taint("node.kubernetes.io/unreachable", corev1.TaintEffectNoExecute)}, Ready},
		{"control plane", corev1.Node{Spec: taint("node-role.kubernetes.io/control-plane", corev1.TaintEffectNoSchedule)}, Ready},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			object, err := trimNode(&tt.node)
			if err != nil {
				t.Fatal(err)
			}
			if got := maintenance(object.(*corev1.Node)); got != tt.want {
				t.Errorf("maintenance() = %s; want %s", got, tt.want)
			}
		})
	}
}

func TestConditionsSayWhyTheyAreBad(t *testing.T) {
	const notReady = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"
	tests := []struct {
		name string
		from corev1.NodeCondition
		want Condition
	}{
		{"ready", corev1.NodeCondition{Type: "Ready", Status: "True", Reason: "KubeletReady", Message: "kubelet is posting ready status"}, Condition{"Ready", "true", ""}},
		{"no network", corev1.NodeCondition{Type: "Ready", Status: "False", Reason: "KubeletNotReady", Message: notReady}, Condition{"Ready", "false", "NetworkPluginNotReady"}},
		{"another reason", corev1.NodeCondition{Type: "Ready", Status: "False", Reason: "KubeletNotReady", Message: "PLEG is not healthy"}, Condition{"Ready", "false", "KubeletNotReady"}},
		{"a reason that is free text", corev1.NodeCondition{Type: "Ready", Status: "False", Reason: "KubeletNotReady", Message: "reason:\"what ever\" happened"}, Condition{"Ready", "false", "KubeletNotReady"}},
		{"unknown", corev1.NodeCondition{Type: "Ready", Status: "Unknown", Reason: "NodeStatusUnknown"}, Condition{"Ready", "unknown", "NodeStatusUnknown"}},
		{"no pressure", corev1.NodeCondition{Type: "DiskPressure", Status: "False", Reason: "KubeletHasNoDiskPressure"}, Condition{"DiskPressure", "false", ""}},
		{"pressure", corev1.NodeCondition{Type: "DiskPressure", Status: "True", Reason: "KubeletHasDiskPressure"}, Condition{"DiskPressure", "true", "KubeletHasDiskPressure"}},
		{"no route", corev1.NodeCondition{Type: "NetworkUnavailable", Status: "True", Reason: "NoRouteCreated"}, Condition{"NetworkUnavailable", "true", "NoRouteCreated"}},
		{"no reason", corev1.NodeCondition{Type: "NetworkUnavailable", Status: "True"}, Condition{"NetworkUnavailable", "true", "Unknown"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			node := corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{tt.from, {Type: "Custom", Status: "True"}}}}
			object, err := trimNode(&node)
			if err != nil {
				t.Fatal(err)
			}
			want := []Condition{tt.want, {"Schedulable", "true", ""}}
			if diff := cmp.Diff(want, conditions(object.(*corev1.Node))); diff != "" {
				t.Errorf("conditions() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStateOfTheEndpointPod(t *testing.T) {
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		p := podOf("podnet", "e", "u", "endpoint")
		change(p)
		return p
	}
	waits := func(reason string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{
				{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}},
			}}
		}
	}
	now := metav1.Now()
	tests := []struct {
		name string
		pods []*corev1.Pod
		want EndpointPod
	}{
		{"running", []*corev1.Pod{pod(func(*corev1.Pod) {})}, EndpointPod{"running", ""}},
		{"being made", []*corev1.Pod{pod(waits("ContainerCreating"))}, EndpointPod{"starting", "ContainerCreating"}},
		{"no image", []*corev1.Pod{pod(waits("ImagePullBackOff"))}, EndpointPod{"starting", "ImagePullBackOff"}},
		{"crashes", []*corev1.Pod{pod(func(p *corev1.Pod) {
			waits("CrashLoopBackOff")(p)
			p.Status.Phase = corev1.PodRunning
		})}, EndpointPod{"not_ready", "CrashLoopBackOff"}},
		{"evicted", []*corev1.Pod{pod(func(p *corev1.Pod) { p.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"} })}, EndpointPod{"failed", "Evicted"}},
		{"deleted", []*corev1.Pod{pod(func(p *corev1.Pod) { p.DeletionTimestamp = &now })}, EndpointPod{"terminating", ""}},
		{"deleted, and its successor starts", []*corev1.Pod{
			pod(func(p *corev1.Pod) { p.DeletionTimestamp = &now }),
			pod(func(p *corev1.Pod) { p.Name = "f"; waits("ContainerCreating")(p) }),
		}, EndpointPod{"starting", "ContainerCreating"}},
		{"of another app", []*corev1.Pod{pod(func(p *corev1.Pod) { p.Labels["app"] = "web" })}, EndpointPod{"missing", ""}},
		{"of another namespace", []*corev1.Pod{pod(func(p *corev1.Pod) { p.Namespace = "default" })}, EndpointPod{"missing", ""}},
		{"none", nil, EndpointPod{"missing", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := own{pods: map[string]*ownPod{}, services: map[string]*corev1.Service{}}
			for _, p := range tt.pods {
				object, err := trimPod(p)
				if err != nil {
					t.Fatal(err)
				}
				o.podChanged(nil, object)
			}
			opts := KubernetesOptions{Namespace: "podnet", EndpointsService: "podnet-endpoint"}
			if got := o.endpointPod(opts, newSandboxes(time.Now())); got != (EndpointPod{}) {
				t.Errorf("without a Service: %+v; want nothing", got)
			}
			for _, s := range services() {
				o.serviceChanged(nil, s)
			}
			if got := o.endpointPod(opts, newSandboxes(time.Now())); got != tt.want {
				t.Errorf("endpointPod() = %+v; want %+v", got, tt.want)
			}
		})
	}
}

func TestAStaticPodHasTheUIDThatTheKubeletKnows(t *testing.T) {
	p := podOf("kube-system", "etcd-n1", "of-the-mirror", "etcd")
	p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "5e5d"}
	object, err := trimPod(p)
	if err != nil {
		t.Fatal(err)
	}
	if got := object.(*ownPod).pod.UID; got != "5e5d" {
		t.Errorf("UID = %q; want that of the kubelet", got)
	}
}

func TestEventsAreCountedOnce(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	const message = "no IP addresses available in range set"
	event := func(uid string, count int32, first, last int) corev1.Event {
		return *sandboxEvent(uid, "p", message, count, at(first), at(last))
	}
	series := corev1.Event{
		ObjectMeta: metav1.ObjectMeta{UID: "s"}, Message: message, EventTime: metav1.NewMicroTime(at(1)),
		Series: &corev1.EventSeries{Count: 4, LastObservedTime: metav1.NewMicroTime(at(5))},
	}
	tests := []struct {
		name  string
		reads [][]corev1.Event
		want  uint64
	}{
		{"none", [][]corev1.Event{{}}, 0},
		{"new", [][]corev1.Event{{event("a", 1, 1, 1)}}, 1},
		{"new, with a count", [][]corev1.Event{{event("a", 7, 1, 5)}}, 7},
		{"without a count", [][]corev1.Event{{event("a", 0, 1, 1)}}, 1},
		{"read again", [][]corev1.Event{{event("a", 2, 1, 1)}, {event("a", 2, 1, 1)}}, 2},
		{"grows", [][]corev1.Event{{event("a", 2, 1, 1)}, {event("a", 5, 1, 9)}}, 5},
		{"several", [][]corev1.Event{{event("a", 1, 1, 1), event("b", 1, 2, 2)}, {event("a", 1, 1, 1), event("b", 2, 2, 3), event("c", 1, 4, 4)}}, 4},
		{"ended before the start", [][]corev1.Event{{event("a", 9, -60, -5)}}, 0},
		{"ended before the start, and goes on", [][]corev1.Event{{event("a", 9, -60, -5)}, {event("a", 11, -60, 5)}}, 2},
		{"goes on over the start", [][]corev1.Event{{event("a", 9, -60, 1)}, {event("a", 10, -60, 5)}}, 2},
		{"a series", [][]corev1.Event{{series}}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSandboxes(start)
			s.set([]OwnPod{{object: "p"}}, start)
			for _, events := range tt.reads {
				s.note("p", events)
			}
			if got := s.failures()[NoAddresses]; got != tt.want {
				t.Errorf("failures = %d; want %d", got, tt.want)
			}
			s.note("another", []corev1.Event{event("x", 1, 1, 1)})
			if got := s.failures()[NoAddresses]; got != tt.want {
				t.Errorf("failures of a pod that runs were counted: %d; want %d", got, tt.want)
			}
		})
	}
}

func TestEventsAreReadOfPodsThatDoNotStart(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	waiting := OwnPod{Namespace: "a", object: "waits"}
	all := []OwnPod{
		waiting, {object: "runs", Sandbox: true}, {object: "ends", Terminating: true}, {object: "ended", Phase: "Failed"},
	}
	s := newSandboxes(start)
	s.set(all, start)
	var asked []time.Duration
	for at := time.Duration(0); at <= 4*time.Minute; at += time.Second {
		if ns, uid, ok := s.due(start.Add(at)); ok {
			if ns != "a" || uid != types.UID("waits") {
				t.Fatalf("events of %s/%s are read", ns, uid)
			}
			asked = append(asked, at)
		}
	}
	want := []time.Duration{2, 7, 17, 37, 77, 137, 197}
	for i := range want {
		want[i] *= time.Second
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("read at (-want +got):\n%s", diff)
	}

	if late := s.late(start.Add(sandboxLate - 1)); late[""] != 0 || len(late) != 6 {
		t.Errorf("late just before the time: %v", late)
	}
	if late := s.late(start.Add(sandboxLate)); late[""] != 1 {
		t.Errorf("late = %v; want one without a failure", late)
	}
	s.note("waits", []corev1.Event{
		*sandboxEvent("new", "waits", "deadline exceeded", 1, start, start.Add(2)),
		*sandboxEvent("old", "waits", "range is full", 1, start, start.Add(1)),
	})
	if late := s.late(start.Add(sandboxLate)); late[SandboxTimeout] != 1 || late[""] != 0 {
		t.Errorf("late = %v; want one by its latest failure", late)
	}
	waiting.Sandbox = true
	s.set([]OwnPod{waiting}, start)
	if late := s.late(start.Add(time.Hour)); late[SandboxTimeout] != 0 {
		t.Errorf("late = %v after the pod started", late)
	}
}
