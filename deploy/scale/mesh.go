package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// The names of what the cluster holds.
const (
	namespace       = "podnet"
	agentsService   = "podnet-agent"
	endpointService = "podnet-endpoint"
	perSlice        = 100 // endpoints of a slice, as kube-controller-manager makes them
	zones           = 3
	ownPods         = 30 // of the measured node
)

// mesh is the slices of the two Services, in each family.
type mesh struct {
	api    *api
	nodes  int
	slices []*discoveryv1.EndpointSlice // as the API server has them
	writes atomic.Int64
}

// nodeName returns a name as clouds give them.
func nodeName(n int) string {
	return fmt.Sprintf("ip-10-20-%d-%d.eu-central-1.compute.internal", n>>8, n&255)
}

// address returns the address of a node's agent or endpoint. That of the
// measured node's endpoint is in another range: it is in a namespace of its
// own.
func address(service string, v6 bool, n int) netip.Addr {
	second := byte(20)
	if service == endpointService {
		if second = 244; n == 0 {
			second = 243
		}
	}
	if v6 {
		return netip.AddrFrom16([16]byte{0: 0xfd, 1: second, 14: byte(n >> 8), 15: byte(n)})
	}
	return netip.AddrFrom4([4]byte{10, second, byte(n >> 8), byte(n)})
}

func podName(service string, n int) string { return fmt.Sprintf("%s-%05x", service, n) }

func (m *mesh) endpoint(service string, v6 bool, n int, ready bool, uid string) discoveryv1.Endpoint {
	name, zone, serving, terminating := nodeName(n), fmt.Sprintf("eu-central-1%c", 'a'+n%zones), ready, false
	return discoveryv1.Endpoint{
		Addresses:  []string{address(service, v6, n).String()},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		NodeName:   &name, Zone: &zone,
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: podName(service, n), UID: types.UID(uid)},
	}
}

// uidOf returns a UID like those of the API server.
func uidOf(service string, n, generation int) string {
	return fmt.Sprintf("%08x-%04x-4aaa-8bbb-%012x", n, len(service), generation)
}

// fill writes everything that the cluster has.
func (m *mesh) fill(ctx context.Context, families []bool) error {
	if err := m.api.create(ctx, "namespaces", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return err
	}
	for service, app := range map[string]string{agentsService: "agent", endpointService: "endpoint"} {
		err := m.api.create(ctx, "services", &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: service},
			Spec: corev1.ServiceSpec{
				ClusterIP: corev1.ClusterIPNone, Selector: map[string]string{"app": app}, Ports: []corev1.ServicePort{{Name: "probe", Port: 9798}},
			},
		})
		if err != nil {
			return err
		}
	}
	for _, service := range []string{agentsService, endpointService} {
		for _, v6 := range families {
			if err := m.fillService(ctx, service, v6); err != nil {
				return err
			}
		}
	}
	return m.fillNode(ctx)
}

func (m *mesh) fillService(ctx context.Context, service string, v6 bool) error {
	family, port, name, protocol := discoveryv1.AddressTypeIPv4, int32(9798), "probe", corev1.ProtocolTCP
	if v6 {
		family = discoveryv1.AddressTypeIPv6
	}
	for first := 0; first < m.nodes; first += perSlice {
		s := &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, GenerateName: service + "-", Labels: map[string]string{
					discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io", "service.kubernetes.io/headless": "",
				},
				Annotations: map[string]string{corev1.EndpointsLastChangeTriggerTime: time.Now().UTC().Format(time.RFC3339)},
			},
			AddressType: family,
			Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
		}
		for n := first; n < min(first+perSlice, m.nodes); n++ {
			s.Endpoints = append(s.Endpoints, m.endpoint(service, v6, n, true, uidOf(service, n, 0)))
		}
		if err := m.api.create(ctx, "endpointslices", s); err != nil {
			return err
		}
		m.slices = append(m.slices, s)
	}
	return nil
}

// fillNode writes the measured node and its pods.
func (m *mesh) fillNode(ctx context.Context) error {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName(0)}}
	if err := m.api.create(ctx, "nodes", node); err != nil {
		return err
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}}
	if err := m.api.update(ctx, "nodes", node, "status"); err != nil {
		return err
	}
	for i := range ownPods {
		if err := m.fillPod(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// fillPod writes a pod of the measured node; the first is its endpoint.
func (m *mesh) fillPod(ctx context.Context, i int) error {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("app-%d", i), Labels: map[string]string{"app": "app"}},
		Spec:       corev1.PodSpec{NodeName: nodeName(0), Containers: []corev1.Container{{Name: "c", Image: "image"}}},
	}
	if i == 0 {
		p.Name, p.Labels["app"] = podName(endpointService, 0), "endpoint"
	}
	if err := m.api.create(ctx, "pods", p); err != nil {
		return err
	}
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: address(endpointService, false, 0).String()}},
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue}, {Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue},
		},
	}
	if err := m.api.update(ctx, "pods", p, "status"); err != nil {
		return err
	}
	if i > 0 {
		return nil
	}
	return m.adopt(ctx, string(p.UID))
}

// adopt makes the slices say which pod the measured node's endpoint is.
func (m *mesh) adopt(ctx context.Context, uid string) error {
	for _, s := range m.slices {
		for i := range s.Endpoints {
			if e := &s.Endpoints[i]; *e.NodeName == nodeName(0) && e.TargetRef.Name == podName(endpointService, 0) {
				e.TargetRef.UID = types.UID(uid)
				if err := m.api.update(ctx, "endpointslices", s); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// endpointUID returns the UID of the measured node's endpoint.
func (m *mesh) endpointUID() string {
	for _, s := range m.slices {
		for _, e := range s.Endpoints {
			if e.TargetRef.Name == podName(endpointService, 0) {
				return string(e.TargetRef.UID)
			}
		}
	}
	return ""
}

// churn replaces nodes evenly until ctx ends: of each, both pods go, come back
// unready with another UID, and become ready.
func (m *mesh) churn(ctx context.Context, perMinute float64) error {
	if perMinute <= 0 {
		return nil
	}
	// Three steps each; the steps of one node are as far apart as those of
	// different ones.
	ticker := time.NewTicker(time.Duration(float64(time.Minute) / perMinute / 3))
	defer ticker.Stop()
	for step := 0; ; step++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		node := 1 + (step/3*37)%(m.nodes-1)
		if err := m.change(ctx, node, step%3, step/3+1); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// change takes one of the steps of replacing a node's pods.
func (m *mesh) change(ctx context.Context, node, step, generation int) error {
	each := (m.nodes + perSlice - 1) / perSlice // slices of a Service and family
	for i := node / perSlice; i < len(m.slices); i += each {
		s := m.slices[i]
		service, v6 := s.Labels[discoveryv1.LabelServiceName], s.AddressType == discoveryv1.AddressTypeIPv6
		at := slices.IndexFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool { return *e.NodeName == nodeName(node) })
		switch {
		case step == 0 && at >= 0:
			s.Endpoints = slices.Delete(s.Endpoints, at, at+1)
		case step == 1 && at < 0:
			s.Endpoints = append(s.Endpoints, m.endpoint(service, v6, node, false, uidOf(service, node, generation)))
		case step == 2 && at >= 0:
			s.Endpoints[at] = m.endpoint(service, v6, node, true, uidOf(service, node, generation))
		default:
			continue
		}
		if err := m.api.update(ctx, "endpointslices", s); err != nil {
			return err
		}
		m.writes.Add(1)
	}
	return nil
}
