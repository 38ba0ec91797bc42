package discovery

import (
	"cmp"
	"maps"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// OwnPod is a pod of this node, as the API server has it.
type OwnPod struct {
	Namespace, Name string
	UID             string // as the kubelet has it, see [Pod]
	Labels          map[string]string
	Addresses       []netip.Addr
	HostNetwork     bool // has no network namespace of its own
	Phase           string
	Ready           bool
	Terminating     bool
	Waiting         string // why a container of it does not run, as CamelCase; "" if they all do
	Sandbox         bool   // its sandbox, and so its network, is set up
	object          types.UID
}

// ownPod is what is kept of a pod of this node.
type ownPod struct {
	metav1.ObjectMeta // namespace, name and resource version only

	pod OwnPod
}

// trimPod turns a Pod into an ownPod.
func trimPod(object any) (any, error) {
	from, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	to := &ownPod{ObjectMeta: key(from.ObjectMeta), pod: OwnPod{
		Namespace: from.Namespace, Name: from.Name, UID: kubeletUID(from), object: from.UID,
		Labels: from.Labels, HostNetwork: from.Spec.HostNetwork,
		Phase: string(from.Status.Phase), Terminating: from.DeletionTimestamp != nil,
		Waiting: waiting(&from.Status),
		Sandbox: len(from.Status.PodIPs) > 0 || from.Status.PodIP != "",
	}}
	for _, ip := range from.Status.PodIPs {
		if addr, err := netip.ParseAddr(ip.IP); err == nil {
			to.pod.Addresses = append(to.pod.Addresses, addr.Unmap())
		}
	}
	for _, c := range from.Status.Conditions {
		switch c.Type {
		case corev1.PodReady:
			to.pod.Ready = c.Status == corev1.ConditionTrue
		case corev1.PodReadyToStartContainers:
			to.pod.Sandbox = c.Status == corev1.ConditionTrue
		}
	}
	return to, nil
}

// kubeletUID returns the UID that a pod has on the node: that of a static pod
// is a hash, and what the API server has is a mirror of it with another UID.
func kubeletUID(p *corev1.Pod) string {
	return cmp.Or(p.Annotations[corev1.MirrorPodAnnotationKey], string(p.UID))
}

// waiting returns why the first container that does not run is waiting, or why
// it or the pod ended.
func waiting(s *corev1.PodStatus) string {
	for _, all := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses} {
		for _, c := range all {
			if w := c.State.Waiting; w != nil && w.Reason != "" {
				return word(w.Reason)
			}
			if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
				return word(t.Reason)
			}
		}
	}
	return word(s.Reason)
}

func podState(p OwnPod) string {
	switch {
	case p.Terminating:
		return "terminating"
	case p.Phase == string(corev1.PodFailed) || p.Phase == string(corev1.PodSucceeded):
		return "failed" // an endpoint never ends by itself
	case p.Ready:
		return "running"
	case p.Phase == string(corev1.PodRunning):
		return "not_ready"
	}
	return "starting"
}

// selects reports whether a Service's selector selects a pod with the labels.
// One without a selector selects nothing.
func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

// ended reports whether the pod has no sandbox any more and needs none.
func (p OwnPod) ended() bool {
	return p.Phase == string(corev1.PodSucceeded) || p.Phase == string(corev1.PodFailed)
}

// same reports whether the mesh shows two versions of a pod alike.
func (p OwnPod) same(q OwnPod) bool {
	return p.UID == q.UID && p.ended() == q.ended() && maps.Equal(p.Labels, q.Labels)
}
