package discovery

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	goruntime "runtime"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

// largeMesh is the size of the mesh that is measured.
const largeMesh = 5000

// large returns the slices of a dual-stack cluster as a controller makes them,
// 100 endpoints each, with names as long as those of a cloud.
func large(nodes int) (all []*discoveryv1.EndpointSlice) {
	for service, name := range []string{"podnet-agent", "podnet-endpoint"} {
		for _, family := range []discoveryv1.AddressType{"IPv4", "IPv6"} {
			for first := 0; first < nodes; first += 100 {
				s := sliceOf(name, family)
				s.Name += fmt.Sprintf("-%d", first)
				for n := first; n < min(first+100, nodes); n++ {
					s.Endpoints = append(s.Endpoints, largeEndpoint(name, service, family, n))
				}
				all = append(all, s)
			}
		}
	}
	return all
}

func largeEndpoint(name string, service int, family discoveryv1.AddressType, n int) discoveryv1.Endpoint {
	e := endpointOf(name, family, "n")
	node, zone := fmt.Sprintf("ip-10-20-%d-%d.eu-central-1.compute.internal", n>>8, n&255), fmt.Sprintf("eu-central-1%c", 'a'+n%3)
	e.NodeName, e.Zone = &node, &zone
	addr := netip.AddrFrom4([4]byte{10, 20 + byte(service), byte(n >> 8), byte(n)})
	if family == discoveryv1.AddressTypeIPv6 {
		addr = netip.AddrFrom16([16]byte{0: 0xfd, 1: 20 + byte(service), 14: byte(n >> 8), 15: byte(n)})
	}
	e.Addresses = []string{addr.String()}
	e.TargetRef.Name = fmt.Sprintf("%s-%05x", name, n)
	e.TargetRef.UID = types.UID(fmt.Sprintf("%08x-%04d-4aaa-8bbb-0123456789ab", n, service))
	return e
}

// largeIndex returns the index of a large mesh.
func largeIndex(t testing.TB, all []*discoveryv1.EndpointSlice) *index {
	t.Helper()
	x := newIndex("podnet-agent")
	for _, s := range all {
		x.put(received(t, s))
	}
	x.judge(time.Now())
	x.list()
	return x
}

// heap returns the bytes that live.
func heap() uint64 {
	goruntime.GC()
	goruntime.GC()
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return m.HeapAlloc
}

// kept returns how many bytes live for each node of a large mesh.
func kept(t testing.TB, all []*discoveryv1.EndpointSlice) int {
	t.Helper()
	before := heap()
	x := largeIndex(t, all)
	nodes := len(x.list())
	bytes := heap() - before
	if nodes != largeMesh {
		t.Fatalf("%d nodes; want %d", nodes, largeMesh)
	}
	goruntime.KeepAlive(all)
	goruntime.KeepAlive(x)
	return int(bytes) / nodes
}

func TestWhatIsKeptOfALargeMeshIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("collects garbage several times")
	}
	if n := kept(t, large(largeMesh)); n > 1250 {
		t.Errorf("%d bytes for each of %d nodes with two families; want at most 1250", n, largeMesh)
	}
}

// BenchmarkIndex reports how many bytes are kept for each node of a large mesh.
func BenchmarkIndex(b *testing.B) {
	all := large(largeMesh)
	n := 0
	for b.Loop() {
		n = kept(b, all)
	}
	b.ReportMetric(float64(n), "B/node")
}

// BenchmarkSnapshot measures what a change of one endpoint costs at 5,000
// nodes, from the packet to the snapshot.
func BenchmarkSnapshot(b *testing.B) {
	all := large(largeMesh)
	x := largeIndex(b, all)
	versions := twoVersions(b, all[0])
	o := own{pods: map[string]*ownPod{}}
	b.ReportAllocs()
	b.SetBytes(int64(len(versions[0])))
	for i := 0; b.Loop(); i++ {
		var came slice
		if err := came.Unmarshal(versions[i%2]); err != nil {
			b.Fatal(err)
		}
		x.put(&came)
		x.judge(time.Now())
		if nodes := o.in(x.list(), KubernetesOptions{Node: x.sorted[1].name}); len(nodes) != largeMesh {
			b.Fatalf("%d nodes", len(nodes))
		}
	}
}

// twoVersions returns two versions of a slice that differ in one endpoint.
func twoVersions(b *testing.B, s *discoveryv1.EndpointSlice) (versions [2][]byte) {
	b.Helper()
	for i := range versions {
		ready := i == 0
		s.Endpoints[50].Conditions.Ready = &ready
		s.Endpoints[50].TargetRef = &corev1.ObjectReference{Kind: "Pod", UID: "other", Name: fmt.Sprint(i)}
		data, err := s.Marshal()
		if err != nil {
			b.Fatal(err)
		}
		versions[i] = data
	}
	return versions
}

// BenchmarkWatchEvent measures what client-go and the index make of an event
// of the watch in which one endpoint of a slice is another than before.
func BenchmarkWatchEvent(b *testing.B) {
	all := large(largeMesh)
	x := largeIndex(b, all)
	var body repeated
	for _, version := range twoVersions(b, all[0]) {
		body.frames = append(body.frames, frame(b, apiwatch.Modified, envelope(b, sliceKind, version)))
	}
	decoder := watchOf(b, &body)
	b.ReportAllocs()
	b.SetBytes(int64(len(body.frames[0])))
	for b.Loop() {
		_, came, err := decoder.Decode()
		if err != nil {
			b.Fatal(err)
		}
		x.put(came.(*slice))
	}
}

// frame returns an event of the watch as the API server sends it.
func frame(t testing.TB, kind apiwatch.EventType, object []byte) []byte {
	t.Helper()
	event := metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Raw: object}}
	data, err := event.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

// envelope returns an object of the discovery group in its envelope.
func envelope(t testing.TB, kind string, wire []byte) []byte {
	t.Helper()
	data, err := runtime.Encode(protobuf.NewSerializer(nil, nil), &runtime.Unknown{
		TypeMeta: runtime.TypeMeta{APIVersion: discoveryv1.SchemeGroupVersion.String(), Kind: kind}, Raw: wire,
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// repeated is a stream of the same frames, over and over.
type repeated struct {
	frames [][]byte
	rest   []byte // of the present one
	next   int
}

func (r *repeated) Read(to []byte) (int, error) {
	if len(r.rest) == 0 {
		r.rest = r.frames[r.next%len(r.frames)]
		r.next++
	}
	n := copy(to, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
