package discovery

import (
	"encoding/json"
	"fmt"
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// sliceKind is what the API calls a slice.
const sliceKind = "EndpointSlice"

// slice is an EndpointSlice as it is read from the API server, in the place of
// [discoveryv1.EndpointSlice].
type slice struct {
	metav1.TypeMeta
	metav1.ObjectMeta // namespace, name and resource version; of the annotations that at the end of a streamed list

	service   string
	family    uint8  // 0 IPv4, 1 IPv6
	endpoints []byte // as they came, each a field, and maybe others between; nil once the index has taken them
	held      []byte // the object that they are a part of, if others may use its memory after that
	in        *memory
}

// Reset makes the slice empty, for Unmarshal.
func (s *slice) Reset() { *s = slice{} }

// Unmarshal reads the protobuf form. The endpoints are a part of data, which
// must not change before the index has taken them, and is kept in memory until
// then; the rest is copied, since the informer keeps it.
func (s *slice) Unmarshal(data []byte) error {
	var kind, endpoints []byte
	behind := 0 // bytes behind the last endpoint
	for len(data) > 0 {
		f, rest, err := nextField(data)
		if err != nil {
			return err
		}
		switch f.number {
		case sliceMetadata:
			service, listed, err := s.readMeta(f.bytes, discoveryv1.LabelServiceName, metav1.InitialEventsAnnotationKey)
			if err != nil {
				return err
			}
			s.service = intern(string(service))
			if listed != nil {
				s.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: string(listed)}
			}
		case sliceEndpoints:
			if endpoints == nil {
				endpoints = data
			}
			behind = len(rest)
		case sliceAddressType:
			kind = f.bytes
		}
		data = rest
	}
	endpoints = endpoints[:len(endpoints)-behind]
	switch discoveryv1.AddressType(kind) {
	case discoveryv1.AddressTypeIPv4:
		s.endpoints = endpoints
	case discoveryv1.AddressTypeIPv6:
		s.family, s.endpoints = 1, endpoints
	default: // names of hosts: nothing of ours
	}
	return nil
}

// release ends the slice's endpoints, which the index has taken.
func (s *slice) release() {
	if s.held != nil {
		s.in.release(s.held)
	}
	s.endpoints, s.held = nil, nil
}

// UnmarshalJSON reads the JSON form, which a server or proxy that knows no
// protobuf sends.
func (s *slice) UnmarshalJSON(data []byte) error {
	var from discoveryv1.EndpointSlice
	if err := json.Unmarshal(data, &from); err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	wire, err := from.Marshal()
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	s.Reset()
	s.TypeMeta = from.TypeMeta
	return s.Unmarshal(wire)
}

// DeepCopyObject implements [runtime.Object].
func (s *slice) DeepCopyObject() runtime.Object {
	to := *s
	to.endpoints, to.held = slices.Clone(s.endpoints), nil
	s.DeepCopyInto(&to.ObjectMeta)
	return &to
}

// sliceList is a list of slices as it is read from the API server.
type sliceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []slice `json:"items"`
}

// Reset makes the list empty, for Unmarshal.
func (l *sliceList) Reset() { *l = sliceList{} }

// Unmarshal reads the protobuf form. The endpoints of all slices are parts of
// data, as in that of one; the informer hands them on without a pause.
func (l *sliceList) Unmarshal(data []byte) error {
	for len(data) > 0 {
		f, rest, err := nextField(data)
		if err != nil {
			return err
		}
		data = rest
		switch f.number {
		case listMetadata:
			err = l.ListMeta.Unmarshal(f.bytes)
		case listItems:
			l.Items = append(l.Items, slice{})
			err = l.Items[len(l.Items)-1].Unmarshal(f.bytes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// DeepCopyObject implements [runtime.Object].
func (l *sliceList) DeepCopyObject() runtime.Object {
	to := *l
	to.Items = make([]slice, len(l.Items))
	for i := range l.Items {
		to.Items[i] = *l.Items[i].DeepCopyObject().(*slice)
	}
	return &to
}

// addSlices makes a scheme read slices by the types of this package.
func addSlices(scheme *runtime.Scheme, version schema.GroupVersion) {
	scheme.AddKnownTypeWithName(version.WithKind(sliceKind), &slice{})
	scheme.AddKnownTypeWithName(version.WithKind(sliceKind+"List"), &sliceList{})
}

// key returns what a cache has to know of an object.
func key(from metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: intern(from.Namespace), Name: from.Name, ResourceVersion: from.ResourceVersion}
}

// intern returns s, held in memory once however many hold it: for what many
// nodes have in common.
func intern(s string) string { return unique.Make(s).Value() }

// trimService keeps name and selector of a Service.
func trimService(object any) (any, error) {
	from, ok := object.(*corev1.Service)
	if !ok {
		return object, nil
	}
	return &corev1.Service{ObjectMeta: key(from.ObjectMeta), Spec: corev1.ServiceSpec{Selector: from.Spec.Selector}}, nil
}
