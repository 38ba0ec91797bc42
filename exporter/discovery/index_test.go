package discovery

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// received returns a slice as it comes over the network.
func received(t testing.TB, from *discoveryv1.EndpointSlice) *slice {
	t.Helper()
	data, err := from.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var s slice
	if err := s.Unmarshal(data); err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestEndpointsThatAreNoPodsOfNodesAreLeftOut(t *testing.T) {
	s := sliceOf("podnet-agent", discoveryv1.AddressTypeIPv4, "n1", "n2", "n3", "n4", "n5")
	s.Endpoints[0].NodeName = nil
	s.Endpoints[1].Addresses = nil
	s.Endpoints[2].Addresses = []string{"a name"}
	s.Endpoints[3].Conditions = discoveryv1.EndpointConditions{}
	s.Endpoints[4].TargetRef, s.Endpoints[4].Zone = nil, nil
	x := newIndex("podnet-agent")
	x.put(received(t, s))
	names := s.DeepCopy()
	names.Name, names.AddressType = "fqdn", discoveryv1.AddressTypeFQDN
	x.put(received(t, names))
	x.judge(time.Now())
	want := []*Node{
		{Name: "n4", Zone: "z4", State: Ready, Addresses: []netip.Addr{addressOf("podnet-agent", "IPv4", "n4")}},
		{Name: "n5", State: Ready, Addresses: []netip.Addr{addressOf("podnet-agent", "IPv4", "n5")}},
	}
	if diff := cmp.Diff(want, x.list(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("list() (-want +got):\n%s", diff)
	}
}

// TestChangesOfSlicesMakeTheSameMeshAsTheSlices changes slices at random, as a
// controller does that moves pods between them, and compares the index with a
// new one.
func TestChangesOfSlicesMakeTheSameMeshAsTheSlices(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x := newIndex("podnet-agent")
	present := map[string]*discoveryv1.EndpointSlice{}
	now := time.Unix(1_800_000_000, 0)
	for step := range 600 {
		now = now.Add(forget + time.Second) // so that the past has no say
		name := fmt.Sprintf("s%d", rng.IntN(6))
		if old, there := present[name]; there && rng.IntN(10) == 0 {
			gone := sliceOf(old.Labels[discoveryv1.LabelServiceName], old.AddressType) // not the version that was put
			gone.Name = name
			delete(present, name)
			x.drop(received(t, gone).Name)
		} else {
			s := randomSlice(rng, name)
			present[name] = s
			x.put(received(t, s))
		}
		x.judge(now)
		x.judge(now.Add(forget))
		fresh := newIndex("podnet-agent")
		for _, s := range present {
			fresh.put(received(t, s))
		}
		compareRecords(t, step, x, fresh)
	}
}

func randomSlice(rng *rand.Rand, name string) *discoveryv1.EndpointSlice {
	number := name[1] - '0'
	s := sliceOf([]string{"podnet-agent", "podnet-endpoint"}[number%2], []discoveryv1.AddressType{"IPv4", "IPv6"}[number/2%2])
	s.Name = name
	for node := range 8 {
		if rng.IntN(2) == 0 {
			continue
		}
		e := endpointOf(s.Labels[discoveryv1.LabelServiceName], s.AddressType, fmt.Sprintf("n%d", node))
		ready := rng.IntN(3) > 0
		e.Conditions.Ready = &ready
		s.Endpoints = append(s.Endpoints, e)
	}
	rng.Shuffle(len(s.Endpoints), func(i, j int) { s.Endpoints[i], s.Endpoints[j] = s.Endpoints[j], s.Endpoints[i] })
	return s
}

// compareRecords compares what two indexes have of every node.
func compareRecords(t *testing.T, step int, got, want *index) {
	t.Helper()
	if diff := cmp.Diff(nonzero(want.seen), nonzero(got.seen)); diff != "" {
		t.Fatalf("step %d: endpoints by Service (-want +got):\n%s", step, diff)
	}
	text := func(x *index, name string) []string {
		var all []string
		if e := x.nodes[name]; e != nil {
			for _, r := range e.records {
				if x.sources[r.in.name] != r.in || r.version != r.in.version {
					t.Fatalf("step %d: node %s holds an old version of slice %s", step, name, r.in.name)
				}
				all = append(all, fmt.Sprintf("%s %v %s %t %t", r.in.name, r.pod, r.addr, r.ready, r.terminating))
			}
		}
		slices.Sort(all)
		return all
	}
	for node := range 8 {
		name := fmt.Sprintf("n%d", node)
		if diff := cmp.Diff(text(want, name), text(got, name)); diff != "" {
			t.Fatalf("step %d: node %s (-want +got):\n%s", step, name, diff)
		}
	}
	for name, e := range got.nodes {
		if len(e.records) == 0 && !e.there {
			t.Fatalf("step %d: node %s is kept without a reason", step, name)
		}
	}
}

func nonzero(counts map[string]int) map[string]int {
	some := map[string]int{}
	for k, n := range counts {
		if n != 0 {
			some[k] = n
		}
	}
	return some
}

func TestANodeThatVanishesIsKeptForAMinute(t *testing.T) {
	x := newIndex("podnet-agent")
	now := time.Unix(1_800_000_000, 0)
	x.put(received(t, sliceOf("podnet-agent", "IPv4", "n1", "n2")))
	x.put(received(t, sliceOf("podnet-endpoint", "IPv4", "n1", "n2")))
	if !x.judge(now) || x.judge(now) {
		t.Error("judge() is not true exactly once after a change")
	}
	before := x.list()
	x.put(received(t, sliceOf("podnet-agent", "IPv4", "n1")))
	x.put(received(t, sliceOf("podnet-endpoint", "IPv4", "n1")))
	x.judge(now)
	vanished := *before[1]
	vanished.State = NotReady
	if diff := cmp.Diff([]*Node{before[0], &vanished}, x.list(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("list() after n2 vanished (-want +got):\n%s", diff)
	}
	if x.judge(now.Add(forget - 1)) {
		t.Error("something changed before the minute was over")
	}
	if !x.judge(now.Add(forget)) {
		t.Error("nothing changed when the minute was over")
	}
	if diff := cmp.Diff(before[:1], x.list(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("list() a minute later (-want +got):\n%s", diff)
	}
	if len(x.nodes) != 1 || len(x.going) != 0 || before[1].State != Ready {
		t.Errorf("%d nodes and %d that go are remembered; the first list has %+v", len(x.nodes), len(x.going), before[1])
	}
}

// large returns the slices of a dual-stack cluster as a controller makes them:
// 100 endpoints each.
func large(nodes int) (all []*discoveryv1.EndpointSlice) {
	for _, service := range []string{"podnet-agent", "podnet-endpoint"} {
		for _, family := range []discoveryv1.AddressType{"IPv4", "IPv6"} {
			for first := 0; first < nodes; first += 100 {
				s := sliceOf(service, family)
				s.Name += fmt.Sprintf("-%d", first)
				for n := first; n < min(first+100, nodes); n++ {
					s.Endpoints = append(s.Endpoints, endpointOf(service, family, fmt.Sprintf("n%04d", n)))
				}
				all = append(all, s)
			}
		}
	}
	return all
}

// heap returns the bytes that live.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestWhatIsKeptOfALargeMeshIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("collects garbage several times")
	}
	before := heap()
	x := newIndex("podnet-agent")
	for _, s := range large(5000) {
		x.put(received(t, s))
	}
	x.judge(time.Now())
	list := x.list()
	kept := heap() - before
	t.Logf("%d nodes with two families: %.1f MB, %d bytes per node", len(list), float64(kept)/1e6, kept/uint64(len(list)))
	if len(list) != 5000 || kept > 10e6 {
		t.Errorf("%d nodes take %d bytes; want 5000 in at most 10 MB", len(list), kept)
	}
	runtime.KeepAlive(x)
}

// BenchmarkSnapshot measures what a change of one endpoint costs at 5,000
// nodes, from the packet to the snapshot.
func BenchmarkSnapshot(b *testing.B) {
	x := newIndex("podnet-agent")
	all := large(5000)
	for _, s := range all {
		x.put(received(b, s))
	}
	x.judge(time.Now())
	var versions [2][]byte
	for i := range versions {
		ready := i == 0
		all[0].Endpoints[50].Conditions.Ready = &ready
		all[0].Endpoints[50].TargetRef = &corev1.ObjectReference{Kind: "Pod", UID: "other", Name: fmt.Sprint(i)}
		data, err := all[0].Marshal()
		if err != nil {
			b.Fatal(err)
		}
		versions[i] = data
	}
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
		if nodes := o.in(x.list(), KubernetesOptions{Node: "n0001"}); len(nodes) != 5000 {
			b.Fatalf("%d nodes", len(nodes))
		}
	}
}
