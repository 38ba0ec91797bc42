package discovery

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// slice is what is kept of an EndpointSlice: about a tenth of what the API
// sends. It belongs to the index once it was put there.
type slice struct {
	metav1.ObjectMeta // namespace, name and resource version only

	service   string
	family    uint8      // 0 IPv4, 1 IPv6
	endpoints []endpoint // sorted, with a node each
}

// endpoint is one pod's address in a slice. It is comparable.
type endpoint struct {
	node, zone           string
	namespace, name, uid string // of the pod, "" if no pod is meant
	addr                 netip.Addr
	ready, terminating   bool
}

// trimSlice turns an EndpointSlice into a slice. It is a cache.TransformFunc,
// which may get what it made before.
func trimSlice(object any) (any, error) {
	from, ok := object.(*discoveryv1.EndpointSlice)
	if !ok {
		return object, nil
	}
	to := &slice{ObjectMeta: key(from.ObjectMeta), service: intern(from.Labels[discoveryv1.LabelServiceName])}
	switch from.AddressType {
	case discoveryv1.AddressTypeIPv4:
	case discoveryv1.AddressTypeIPv6:
		to.family = 1
	default:
		return to, nil // names of hosts: nothing of ours
	}
	to.endpoints = make([]endpoint, 0, len(from.Endpoints))
	for i := range from.Endpoints {
		if e, err := trimEndpoint(&from.Endpoints[i]); err == nil {
			to.endpoints = append(to.endpoints, e)
		}
	}
	slices.SortFunc(to.endpoints, compareEndpoints)
	return to, nil
}

// trimEndpoint keeps what the mesh needs of an endpoint: it fails if that is
// not there.
//
// An unknown readiness means ready, and of several addresses only the first
// counts (k8s.io/api/discovery/v1).
func trimEndpoint(from *discoveryv1.Endpoint) (endpoint, error) {
	if from.NodeName == nil || len(from.Addresses) == 0 {
		return endpoint{}, fmt.Errorf("discovery: an endpoint without node or address")
	}
	addr, err := netip.ParseAddr(from.Addresses[0])
	if err != nil {
		return endpoint{}, fmt.Errorf("discovery: %w", err)
	}
	e := endpoint{
		node: *from.NodeName, addr: addr.Unmap(),
		ready:       from.Conditions.Ready == nil || *from.Conditions.Ready,
		terminating: from.Conditions.Terminating != nil && *from.Conditions.Terminating,
	}
	if from.Zone != nil {
		e.zone = intern(*from.Zone)
	}
	if ref := from.TargetRef; ref != nil && ref.Kind == "Pod" {
		e.namespace, e.name, e.uid = intern(ref.Namespace), ref.Name, string(ref.UID)
	}
	return e, nil
}

// key returns what a cache has to know of an object.
func key(from metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: intern(from.Namespace), Name: from.Name, ResourceVersion: from.ResourceVersion}
}

// intern returns s, held in memory once however many hold it: for what many
// nodes have in common. What a node's own slices have in common is shared by
// the index, at a lower price.
func intern(s string) string { return unique.Make(s).Value() }

func compareEndpoints(a, b endpoint) int {
	return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.uid, b.uid), a.addr.Compare(b.addr))
}

// trimService keeps name and selector of a Service.
func trimService(object any) (any, error) {
	from, ok := object.(*corev1.Service)
	if !ok {
		return object, nil
	}
	return &corev1.Service{ObjectMeta: key(from.ObjectMeta), Spec: corev1.ServiceSpec{Selector: from.Spec.Selector}}, nil
}
