package discovery

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
)

// readSlice is what a slice says, as text.
type readSlice struct {
	Namespace, Name, Version, Service, ListEnd string
	Family                                     uint8
	Endpoints                                  []readOne
}

type readOne struct {
	Node, Zone, Address, Namespace, Pod, UID string
	Ready, Terminating                       bool
}

// read returns what is read of a slice.
func read(t testing.TB, s *slice) readSlice {
	t.Helper()
	r := readSlice{s.Namespace, s.Name, s.ResourceVersion, s.service, s.Annotations[metav1.InitialEventsAnnotationKey], s.family, nil}
	for rest := s.endpoints; len(rest) > 0; {
		f, next, err := nextField(rest)
		if err != nil {
			t.Fatal(err)
		}
		rest = next
		if e, err := readEndpoint(f.bytes); err == nil && f.number == sliceEndpoints {
			r.Endpoints = append(r.Endpoints, readOne{
				string(e.node), string(e.zone), string(e.address), string(e.namespace), string(e.name), string(e.uid), e.ready, e.terminating,
			})
		}
	}
	return r
}

var now2027 = time.Unix(1_800_000_000, 0)

// said returns what is to be read of a slice.
func said(s *discoveryv1.EndpointSlice) readSlice {
	r := readSlice{
		s.Namespace, s.Name, s.ResourceVersion, s.Labels[discoveryv1.LabelServiceName], s.Annotations[metav1.InitialEventsAnnotationKey], 0, nil,
	}
	switch s.AddressType {
	case discoveryv1.AddressTypeIPv4:
	case discoveryv1.AddressTypeIPv6:
		r.Family = 1
	default:
		return r
	}
	text := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	for _, e := range s.Endpoints {
		one := readOne{
			Node: text(e.NodeName), Zone: text(e.Zone),
			Ready:       e.Conditions.Ready == nil || *e.Conditions.Ready,
			Terminating: e.Conditions.Terminating != nil && *e.Conditions.Terminating,
		}
		if len(e.Addresses) > 0 {
			one.Address = e.Addresses[0]
		}
		if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
			one.Namespace, one.Pod, one.UID = e.TargetRef.Namespace, e.TargetRef.Name, string(e.TargetRef.UID)
		}
		r.Endpoints = append(r.Endpoints, one)
	}
	return r
}

// fullSlice returns a slice in which every field is used.
func fullSlice() *discoveryv1.EndpointSlice {
	yes, no, name, port := true, false, "a name", int32(9798)
	s := sliceOf("podnet-agent", discoveryv1.AddressTypeIPv6, "n1", "n2", "n3", "n4")
	s.ResourceVersion, s.UID, s.Generation = "4711", "a-b-c", 3
	s.Labels["other"] = "label"
	s.Annotations = map[string]string{"other": "annotation", metav1.InitialEventsAnnotationKey: "true"}
	s.OwnerReferences = []metav1.OwnerReference{{Kind: "Service", Name: "podnet-agent", Controller: &yes}}
	s.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kube-controller-manager", FieldsV1: metav1.NewFieldsV1(`{"f:endpoints":{}}`)}}
	s.Ports = []discoveryv1.EndpointPort{{Name: &name, Port: &port}}
	s.Endpoints[0].Hostname = &name
	s.Endpoints[0].Addresses = append(s.Endpoints[0].Addresses, "fd00::ffff")
	s.Endpoints[0].Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "z1"}}}
	s.Endpoints[1].Conditions = discoveryv1.EndpointConditions{Ready: &no, Serving: &yes, Terminating: &yes}
	s.Endpoints[2].Conditions = discoveryv1.EndpointConditions{}
	s.Endpoints[2].TargetRef = &corev1.ObjectReference{Kind: "VirtualMachine", Namespace: "x", Name: "y", UID: "z"}
	s.Endpoints[3] = discoveryv1.Endpoint{DeprecatedTopology: map[string]string{"kubernetes.io/hostname": "n4"}}
	return s
}

func TestSlicesAreReadAsTheAPIWritesThem(t *testing.T) {
	names := fullSlice()
	names.AddressType = discoveryv1.AddressTypeFQDN
	for name, s := range map[string]*discoveryv1.EndpointSlice{
		"everything":     fullSlice(),
		"IPv4":           sliceOf("podnet-endpoint", discoveryv1.AddressTypeIPv4, "n1", "n2"),
		"no endpoints":   sliceOf("podnet-endpoint", discoveryv1.AddressTypeIPv4),
		"names of hosts": names,
		"nothing":        {},
	} {
		if diff := cmp.Diff(said(s), read(t, received(t, s))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The API server's own serializer, which client-go uses, finds the types of
// this package.
func TestListsOfSlicesAreReadByClientGo(t *testing.T) {
	from := &discoveryv1.EndpointSliceList{
		ListMeta: metav1.ListMeta{ResourceVersion: "99", Continue: "more"},
		Items:    []discoveryv1.EndpointSlice{*fullSlice(), *sliceOf("podnet-endpoint", discoveryv1.AddressTypeIPv4, "n1")},
	}
	theirs := runtime.NewScheme()
	if err := discoveryv1.AddToScheme(theirs); err != nil {
		t.Fatal(err)
	}
	from.SetGroupVersionKind(discoveryv1.SchemeGroupVersion.WithKind("EndpointSliceList"))
	data, err := runtime.Encode(protobuf.NewSerializer(theirs, theirs), from)
	if err != nil {
		t.Fatal(err)
	}
	ours := newScheme()
	object, _, err := protobuf.NewSerializer(ours, ours).Decode(data, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, ok := object.(*sliceList)
	if !ok {
		t.Fatalf("decoded a %T", object)
	}
	var want, got []readSlice
	for i := range from.Items {
		want = append(want, said(&from.Items[i]))
	}
	copied := list.DeepCopyObject().(*sliceList)
	for i := range copied.Items {
		got = append(got, read(t, &copied.Items[i]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if list.ResourceVersion != "99" || list.Continue != "more" {
		t.Errorf("list is %+v", list.ListMeta)
	}
}

// The informer keeps the slice, and the index what it has read: neither may
// refer to the 17 kB that came.
func TestNothingOfASliceIsKeptButCopies(t *testing.T) {
	from := fullSlice()
	data, err := from.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var s slice
	if err := s.Unmarshal(data); err != nil {
		t.Fatal(err)
	}
	x, want := newIndex("podnet-agent"), newIndex("podnet-agent")
	x.put(&s)
	want.put(received(t, from))
	clear(data)
	x.judge(now2027)
	want.judge(now2027)
	if diff := cmp.Diff(want.list(), x.list(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("list() (-want +got):\n%s", diff)
	}
	saidOf := said(from)
	saidOf.Endpoints = nil
	if diff := cmp.Diff(saidOf, read(t, &s)); diff != "" {
		t.Errorf("slice (-want +got):\n%s", diff)
	}
	for _, a := range x.came[:cap(x.came)] {
		if a.message != nil {
			t.Error("the index holds a message")
		}
	}
}

func FuzzSlice(f *testing.F) {
	for _, s := range []*discoveryv1.EndpointSlice{fullSlice(), sliceOf("podnet-agent", discoveryv1.AddressTypeIPv4, "n1"), {}} {
		data, err := s.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var hostile slice
		if hostile.Unmarshal(data) == nil {
			x := newIndex("podnet-agent")
			again := hostile
			x.put(&hostile)
			x.judge(now2027)
			if x.put(&again); len(x.dirty) != 0 {
				t.Error("the same again is a change")
			}
		}
		var list sliceList
		_ = list.Unmarshal(data)
		var theirs discoveryv1.EndpointSlice
		if theirs.Unmarshal(data) != nil {
			return
		}
		if diff := cmp.Diff(said(&theirs), read(t, received(t, &theirs))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
