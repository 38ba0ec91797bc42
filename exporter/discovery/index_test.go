package discovery

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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

// A version that says the same again changes nothing, whatever its order, and
// leaves every node what it was.
func TestTheSameAgainIsNoChange(t *testing.T) {
	x := newIndex("podnet-agent")
	s := fullSlice()
	x.put(received(t, s))
	x.judge(now2027)
	before := x.list()
	s.ResourceVersion = "4712"
	s.Endpoints[0], s.Endpoints[2] = s.Endpoints[2], s.Endpoints[0]
	x.put(received(t, s))
	if len(x.dirty) != 0 || x.judge(now2027) {
		t.Error("the same endpoints in another order are a change")
	}
	s.Endpoints[0].Addresses = []string{"fd00::1234"}
	x.put(received(t, s))
	if !x.judge(now2027) {
		t.Error("another address is no change")
	}
	changed := 0
	for was, is := range Changes(before, x.list()) {
		changed++
		if was == nil || is == nil || was.Name != "n3" || is.Addresses[0] != netip.MustParseAddr("fd00::1234") {
			t.Errorf("%+v became %+v", was, is)
		}
	}
	if changed != 1 {
		t.Errorf("%d nodes changed; want 1", changed)
	}
}

func TestAServiceIsKnownByASliceWithoutEndpoints(t *testing.T) {
	x := newIndex("podnet-agent")
	x.put(received(t, sliceOf("podnet-agent", discoveryv1.AddressTypeIPv4)))
	if n, known := x.seen["podnet-agent"]; n != 0 || !known {
		t.Errorf("%d endpoints, known %t; want 0, true", n, known)
	}
}

func TestWhatAnEndpointSaysAnewIsAChange(t *testing.T) {
	yes, no, zone := true, false, "z9"
	addr := addressOf("podnet-agent", discoveryv1.AddressTypeIPv4, "n1")
	base := Node{Name: "n1", Zone: "z1", State: Ready, Addresses: []netip.Addr{addr}}
	draining, moved := base, base
	draining.State, moved.Zone = Draining, zone
	for name, tt := range map[string]struct {
		change func(*discoveryv1.Endpoint)
		want   Node
	}{
		"terminating":                          {func(e *discoveryv1.Endpoint) { e.Conditions.Terminating = &yes }, draining},
		"in another zone":                      {func(e *discoveryv1.Endpoint) { e.Zone = &zone }, moved},
		"not ready, which is up to the probes": {func(e *discoveryv1.Endpoint) { e.Conditions.Ready = &no }, base},
	} {
		x := newIndex("podnet-agent")
		s := sliceOf("podnet-agent", discoveryv1.AddressTypeIPv4, "n1")
		x.put(received(t, s))
		x.judge(now2027)
		tt.change(&s.Endpoints[0])
		x.put(received(t, s))
		if len(x.dirty) != 1 {
			t.Errorf("%s: %d nodes are judged again; want 1", name, len(x.dirty))
		}
		x.judge(now2027)
		if diff := cmp.Diff([]*Node{&tt.want}, x.list(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s: list() (-want +got):\n%s", name, diff)
		}
	}
}

// While a controller moves a pod to another slice, it is in both.
func TestTheNewerOfTwoAddressesOfAPodCounts(t *testing.T) {
	x := newIndex("podnet-agent")
	old := sliceOf("podnet-agent", discoveryv1.AddressTypeIPv4, "n1")
	x.put(received(t, old))
	s := old.DeepCopy()
	s.Name, s.Endpoints[0].Addresses = "other", []string{"10.20.9.9"}
	x.put(received(t, s))
	old.Endpoints = append(old.Endpoints, endpointOf("podnet-agent", discoveryv1.AddressTypeIPv4, "n2"))
	x.put(received(t, old)) // says nothing new of n1
	x.judge(now2027)
	if got := x.list()[0].Addresses; len(got) != 1 || got[0] != netip.MustParseAddr("10.20.9.9") {
		t.Errorf("n1 has %v", got)
	}
}
