package discovery

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const patience = 20 * time.Second // for what happens at once, on a busy machine

// kubernetes is a running source.
type kubernetes struct {
	*Kubernetes
	t     *testing.T
	sent  chan Snapshot
	lines chan string
}

// runKubernetes runs a source for node n1 against the server until the test
// ends.
func runKubernetes(t *testing.T, f *fakeAPI) *kubernetes {
	t.Helper()
	k := &kubernetes{t: t, sent: make(chan Snapshot), lines: make(chan string, 1000)}
	k.Kubernetes = NewKubernetes(KubernetesOptions{
		Node: "n1", Namespace: "podnet", AgentsService: "podnet-agent", EndpointsService: "podnet-endpoint", Kubeconfig: f.kubeconfig(),
	}, slog.New(slog.NewTextHandler(lineWriter(k.lines), nil)))
	k.pace = pace{settle: 10 * time.Millisecond, apart: 10 * time.Millisecond, tick: 10 * time.Millisecond, grace: 100 * time.Millisecond, retry: 10 * time.Millisecond}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx, k.sent) }()
	t.Cleanup(func() {
		cancel()
		f.stop() // watches end with their connections
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	return k
}

// lineWriter sends lines of a log to a channel.
type lineWriter chan string

func (w lineWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

// until returns the first mesh that is as wanted.
func (k *kubernetes) until(what string, wanted func(Snapshot) bool) Snapshot {
	k.t.Helper()
	var last Snapshot
	timeout := time.After(patience)
	for {
		select {
		case last = <-k.sent:
			if wanted(last) {
				return last
			}
		case <-timeout:
			k.t.Fatalf("%s did not come; last mesh: %+v; status: %+v", what, last, k.Status())
		}
	}
}

// state returns a condition on the state of a node, "" for none.
func state(name string, want State) func(Snapshot) bool {
	return func(s Snapshot) bool {
		n, _ := s.Node(name)
		return n.State == want
	}
}

// line returns the next line of the log that contains the text.
func (k *kubernetes) line(text string) string {
	k.t.Helper()
	timeout := time.After(patience)
	var others []string
	for {
		select {
		case line := <-k.lines:
			if strings.Contains(line, text) {
				return line
			}
			others = append(others, line)
		case <-k.sent:
		case <-timeout:
			k.t.Fatalf("no line of the log with %q; there were %q", text, others)
		}
	}
}

// status waits for a status that is as wanted.
func (k *kubernetes) status(what string, wanted func(KubernetesStatus) bool) KubernetesStatus {
	k.t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(patience)
	for {
		if s := k.Status(); wanted(s) {
			return s
		}
		select {
		case <-k.sent:
		case <-ticker.C:
		case <-timeout:
			k.t.Fatalf("%s did not come; status: %+v", what, k.Status())
		}
	}
}

// The cluster of the tests: nodes n1, n2, … with an agent and an endpoint each.

func services() []object {
	service := func(name, app string) object {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "podnet", Name: name}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": app}}}
	}
	return []object{service("podnet-agent", "agent"), service("podnet-endpoint", "endpoint")}
}

// sliceOf returns a slice of a Service with a pod on every node.
func sliceOf(service string, family discoveryv1.AddressType, nodes ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "podnet", Name: service + "-" + strings.ToLower(string(family)), Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: family,
	}
	for _, n := range nodes {
		s.Endpoints = append(s.Endpoints, endpointOf(service, family, n))
	}
	return s
}

func endpointOf(service string, family discoveryv1.AddressType, node string) discoveryv1.Endpoint {
	ready, terminating, zone := true, false, "z"+node[len(node)-1:]
	return discoveryv1.Endpoint{
		Addresses:  []string{addressOf(service, family, node).String()},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready, Terminating: &terminating},
		NodeName:   &node, Zone: &zone,
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "podnet", Name: service + "-" + node, UID: types.UID("uid-" + service + "-" + node)},
	}
}

func addressOf(service string, family discoveryv1.AddressType, node string) netip.Addr {
	var number uint16
	_, _ = fmt.Sscanf(node, "n%d", &number)
	third := byte(20)
	if service == "podnet-endpoint" {
		third = 244
	}
	if family == discoveryv1.AddressTypeIPv4 {
		return netip.AddrFrom4([4]byte{10, third, byte(number >> 8), byte(number)})
	}
	return netip.AddrFrom16([16]byte{0: 0xfd, 3: third, 14: byte(number >> 8), 15: byte(number)})
}

func ownNode() *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1"},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}}},
	}
}

// podOf returns a running pod of node n1.
func podOf(namespace, name, uid, app string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(uid), Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{NodeName: "n1"},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.244.0.9"}},
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodReady, Status: corev1.ConditionTrue}, {Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue},
			},
		},
	}
}

// cluster puts the cluster of two nodes into the server.
func cluster(f *fakeAPI) {
	for _, s := range services() {
		f.put(resourceServices, s)
	}
	for _, service := range []string{"podnet-agent", "podnet-endpoint", "other"} {
		for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
			f.put(resourceSlices, sliceOf(service, family, "n2", "n1"))
		}
	}
	elsewhere := sliceOf("podnet-agent", discoveryv1.AddressTypeIPv4, "n9")
	elsewhere.Namespace = "elsewhere"
	f.put(resourceSlices, elsewhere)
	f.put(resourceNodes, ownNode())
	f.put(resourceNodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}, Spec: corev1.NodeSpec{Unschedulable: true}})
	f.put(resourcePods, podOf("podnet", "podnet-endpoint-n1", "uid-podnet-endpoint-n1", "endpoint"))
	f.put(resourcePods, podOf("default", "web", "uid-web", "web"))
	agent := podOf("podnet", "podnet-agent-n1", "uid-podnet-agent-n1", "agent")
	agent.Spec.HostNetwork = true
	f.put(resourcePods, agent)
	done := podOf("default", "job", "uid-job", "job")
	done.Status.Phase = corev1.PodSucceeded
	f.put(resourcePods, done)
	another := podOf("default", "far", "uid-far", "web")
	another.Spec.NodeName = "n2"
	f.put(resourcePods, another)
}

// nodeOf returns a node of the cluster as it is wanted in the mesh.
func nodeOf(name string, pods ...Pod) *Node {
	both := func(service string) []netip.Addr {
		return []netip.Addr{addressOf(service, discoveryv1.AddressTypeIPv4, name), addressOf(service, discoveryv1.AddressTypeIPv6, name)}
	}
	return &Node{
		Name: name, Zone: "z" + name[1:], State: Ready, Addresses: both("podnet-agent"),
		Endpoint: Endpoint{
			Pod:       Pod{Namespace: "podnet", Name: "podnet-endpoint-" + name, UID: "uid-podnet-endpoint-" + name},
			Addresses: both("podnet-endpoint"),
		},
		Pods: pods,
	}
}

func TestTheMeshIsWhatTheSlicesSay(t *testing.T) {
	for _, lists := range []bool{false, true} {
		t.Run(fmt.Sprintf("server without streamed lists %v", lists), func(t *testing.T) {
			f := newFakeAPI(t)
			f.lists = lists
			cluster(f)
			k := runKubernetes(t, f)
			got := k.until("the mesh", state("n2", Ready))
			want := Snapshot{Nodes: []*Node{nodeOf("n1", Pod{Namespace: "default", Name: "web", UID: "uid-web"}), nodeOf("n2")}}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("mesh (-want +got):\n%s", diff)
			}
			s := k.status("a good status", func(s KubernetesStatus) bool { return s.APIUp && s.Known[PartEvents] })
			for part, ok := range s.Known {
				if !ok {
					t.Errorf("part %s is not known", part)
				}
			}
			if s.Endpoint.State != "running" {
				t.Errorf("endpoint pod is %+v; want running", s.Endpoint)
			}
		})
	}
}

func TestTheMeshFollowsTheCluster(t *testing.T) {
	f := newFakeAPI(t)
	cluster(f)
	k := runKubernetes(t, f)
	k.until("the mesh", state("n2", Ready))

	agents := sliceOf("podnet-agent", discoveryv1.AddressTypeIPv4, "n1", "n2", "n3")
	unready := false
	agents.Endpoints[1].Conditions.Ready = &unready
	agents.Endpoints[2].Conditions.Ready = &unready
	f.put(resourceSlices, agents)
	s := k.until("a node that joins", state("n3", NotReady))
	if n, _ := s.Node("n2"); n.State != Ready {
		t.Errorf("n2, which turned unready, is %s; want ready", n.State)
	}

	terminating := true
	agents.Endpoints[1].Conditions.Terminating = &terminating
	f.put(resourceSlices, agents)
	k.until("a node whose agent ends", state("n2", Draining))

	f.remove(resourceSlices, agents)
	f.remove(resourceSlices, sliceOf("podnet-agent", discoveryv1.AddressTypeIPv6))
	s = k.until("nodes that vanished", state("n2", NotReady))
	if n, _ := s.Node("n2"); len(n.Addresses) != 2 || len(n.Endpoint.Addresses) != 2 {
		t.Errorf("n2, which vanished, has no addresses any more: %+v", n)
	}

	node := ownNode()
	node.Spec.Unschedulable = true
	f.put(resourceNodes, node)
	k.until("the own cordon", state("n1", Cordoned))
	f.remove(resourceNodes, node)
	k.until("the own node's end", state("n1", Draining))

	f.remove(resourcePods, podOf("default", "web", "uid-web", "web"))
	k.until("the end of a pod", func(s Snapshot) bool { n, _ := s.Node("n1"); return len(n.Pods) == 0 })
}

func TestTheLastMeshGoesOnWithoutTheAPIServer(t *testing.T) {
	f := newFakeAPI(t)
	cluster(f)
	k := runKubernetes(t, f)
	k.until("the mesh", state("n2", Ready))
	before := k.status("a server that is up", func(s KubernetesStatus) bool { return s.APIUp })

	f.stop()
	away := k.status("a server that is away", func(s KubernetesStatus) bool { return !s.APIUp })
	if line := k.line("does not answer"); !strings.Contains(line, "level=WARN") || !strings.Contains(line, "refused") {
		t.Errorf("line of the log = %q; want a warning with the error", line)
	}
	if total(away.Failures) <= total(before.Failures) {
		t.Errorf("failures before %v, and while it is away %v; want more", before.Failures, away.Failures)
	}
	for part, ok := range away.Known {
		if !ok {
			t.Errorf("part %s is not known any more; the last is still valid", part)
		}
	}

	f.put(resourceSlices, sliceOf("podnet-agent", discoveryv1.AddressTypeIPv4, "n1", "n2", "n3"))
	f.start()
	s := k.until("the mesh that changed meanwhile", state("n3", Ready))
	if n, _ := s.Node("n2"); n.State != Ready {
		t.Errorf("n2 is %s; want ready as before", n.State)
	}
	k.status("a server that is up again", func(s KubernetesStatus) bool { return s.APIUp })
	for again := k.line("discovery:"); !strings.Contains(again, "this is over"); again = k.line("discovery:") {
		t.Errorf("logged again while it lasted: %q", again)
	}
}

func total(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func TestAnAPIServerThatComesLater(t *testing.T) {
	f := newFakeAPI(t)
	cluster(f)
	f.stop()
	k := runKubernetes(t, f)
	k.line("does not answer")
	if s := k.Status(); s.APIUp || s.Known[PartAgents] {
		t.Errorf("status = %+v; want nothing known", s)
	}
	f.start()
	k.until("the mesh", state("n2", Ready))
}

func TestWithoutOneThingTheRestWorks(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*fakeAPI)
		line    string // of the log
		unknown []Part
		works   func(Snapshot) bool
	}{
		{"no permission for slices", func(f *fakeAPI) { f.deny(resourceSlices, true) },
			"Role in namespace podnet with list and watch on endpointslices", []Part{PartAgents, PartEndpoints},
			func(s Snapshot) bool {
				return len(s.Nodes) == 1 && len(s.Nodes[0].Pods) == 1 && s.Nodes[0].Endpoint.Name != ""
			}},
		{"no permission for services", func(f *fakeAPI) { f.deny(resourceServices, true) },
			"Role in namespace podnet with list and watch on services", []Part{PartServices}, state("n2", Ready)},
		{"no permission for nodes", func(f *fakeAPI) { f.deny(resourceNodes, true) },
			"ClusterRole with list and watch on nodes", []Part{PartNode}, state("n2", Ready)},
		{"no permission for pods", func(f *fakeAPI) { f.deny(resourcePods, true) },
			"ClusterRole with list and watch on pods", []Part{PartPods}, state("n2", Ready)},
		{"no permission for events", func(f *fakeAPI) { f.deny(resourceEvents, true) },
			"ClusterRole with list on events", []Part{PartEvents}, state("n2", Ready)},
		{"no service of agents", func(f *fakeAPI) {
			f.remove(resourceServices, services()[0])
			f.remove(resourceSlices, sliceOf("podnet-agent", discoveryv1.AddressTypeIPv4))
			f.remove(resourceSlices, sliceOf("podnet-agent", discoveryv1.AddressTypeIPv6))
		}, "there is no Service podnet/podnet-agent, so no agents are found", []Part{PartAgents}, state("n2", NotReady)},
		{"a service that selects nothing", func(f *fakeAPI) {
			f.put(resourceSlices, sliceOf("podnet-endpoint", discoveryv1.AddressTypeIPv4))
			f.put(resourceSlices, sliceOf("podnet-endpoint", discoveryv1.AddressTypeIPv6))
		}, "Service podnet/podnet-endpoint has no pod behind it", []Part{PartEndpoints}, state("n2", Ready)},
		{"another node's name", func(f *fakeAPI) { f.remove(resourceNodes, ownNode()) },
			`there is no Node \"n1\"`, []Part{PartNode}, state("n2", Ready)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeAPI(t)
			cluster(f)
			tt.change(f)
			k := runKubernetes(t, f)
			k.until("the rest", tt.works)
			line := k.line(tt.line)
			s := k.status("the status of it", func(s KubernetesStatus) bool {
				unknown := 0
				for _, known := range s.Known {
					if !known {
						unknown++
					}
				}
				return unknown == len(tt.unknown)
			})
			for _, part := range tt.unknown {
				if s.Known[part] {
					t.Errorf("part %s is known; want unknown", part)
				}
			}
			if !s.APIUp {
				t.Error("the API server counts as away, but it answers")
			}
			if !strings.Contains(line, "level=WARN") {
				t.Errorf("line of the log = %q; want a warning", line)
			}
			close(k.lines)
			for again := range k.lines {
				t.Errorf("one thing, and a second line: %q", again)
			}
			k.lines = nil
		})
	}
}

func TestAPermissionThatComesLaterIsUsed(t *testing.T) {
	f := newFakeAPI(t)
	cluster(f)
	f.deny(resourceSlices, true)
	k := runKubernetes(t, f)
	k.line("permission to read endpointslices is missing")
	f.deny(resourceSlices, false)
	k.until("the mesh", state("n2", Ready))
	k.line("this is over: permission to read endpointslices is missing")
	k.status("everything known", func(s KubernetesStatus) bool { return s.Known[PartAgents] && s.Known[PartEndpoints] })
}

func TestWithoutClientOneLineSaysSo(t *testing.T) {
	f := newFakeAPI(t)
	k := &kubernetes{t: t, sent: make(chan Snapshot), lines: make(chan string, 1000)}
	k.Kubernetes = NewKubernetes(KubernetesOptions{Node: "n1", Namespace: "podnet", Kubeconfig: f.kubeconfig() + ".missing"},
		slog.New(slog.NewTextHandler(lineWriter(k.lines), nil)))
	k.pace.retry = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx, k.sent) }()
	line := k.line("cannot be asked")
	if !strings.Contains(line, "no such file") || !strings.Contains(line, "set discovery.kubernetes.kubeconfig") {
		t.Errorf("line of the log = %q; want the error, and what to do", line)
	}
	k.status("nothing known", func(s KubernetesStatus) bool { return !s.APIUp && !s.Known[PartAgents] && !s.Known[PartEvents] })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run() = %v; want nil", err)
	}
	if len(k.lines) > 0 {
		t.Errorf("a second line: %q", <-k.lines)
	}
}

func TestFailuresOfSandboxesAreCountedByTheirEvents(t *testing.T) {
	f := newFakeAPI(t)
	cluster(f)
	endpoint := podOf("podnet", "podnet-endpoint-n1", "uid-podnet-endpoint-n1", "endpoint")
	endpoint.Status = corev1.PodStatus{
		Phase:             corev1.PodPending,
		Conditions:        []corev1.PodCondition{{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionFalse}},
		ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}}},
	}
	f.put(resourcePods, endpoint)
	k := runKubernetes(t, f)
	k.status("the pod that waits", func(s KubernetesStatus) bool { return s.Endpoint == EndpointPod{"starting", "ContainerCreating"} })

	event := sandboxEvent("e1", "uid-podnet-endpoint-n1", `failed to setup network for sandbox "4f": plugin type="broken" failed (add)`, 3, time.Now(), time.Now())
	f.put(resourceEvents, event)
	other := sandboxEvent("e2", "uid-far", "no IP addresses available in range set", 3, time.Now(), time.Now())
	f.put(resourceEvents, other)
	k.status("three failures", func(s KubernetesStatus) bool { return s.Sandbox[PluginError] == 3 })
	k.status("the pod with its failure", func(s KubernetesStatus) bool { return s.Endpoint == EndpointPod{"starting", "plugin_error"} })

	f.put(resourcePods, podOf("podnet", "podnet-endpoint-n1", "uid-podnet-endpoint-n1", "endpoint"))
	s := k.status("the pod that runs", func(s KubernetesStatus) bool { return s.Endpoint == EndpointPod{"running", ""} })
	want := map[SandboxFailure]uint64{PluginMissing: 0, PluginError: 3, NoAddresses: 0, SandboxTimeout: 0, OtherFailure: 0}
	if diff := cmp.Diff(want, s.Sandbox); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

// sandboxEvent returns an event of the kubelet.
func sandboxEvent(uid, pod, message string, count int32, first, last time.Time) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "podnet", Name: uid, UID: types.UID(uid)},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", UID: types.UID(pod)},
		Reason:         "FailedCreatePodSandBox", Message: message, Count: count,
		FirstTimestamp: metav1.NewTime(first), LastTimestamp: metav1.NewTime(last),
	}
}
