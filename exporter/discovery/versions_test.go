package discovery

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// version is a version of a slice, as it is sent.
type version struct {
	service   string
	family    uint8
	endpoints [][]byte
}

// slice returns the version as it is received, and the memory it is in.
func (v version) slice(name string) (*slice, []byte) {
	var data []byte
	for i, e := range v.endpoints {
		if i%3 == 1 { // nothing forbids other fields between
			data = protowire.AppendTag(data, sliceAddressType, protowire.BytesType)
			data = protowire.AppendString(data, "IPv8")
		}
		data = protowire.AppendTag(data, sliceEndpoints, protowire.BytesType)
		data = protowire.AppendBytes(data, e)
	}
	s := &slice{service: v.service, family: v.family, endpoints: data}
	s.Name = name
	return s, data
}

// random returns a version of a slice with a few endpoints.
func randomVersion(rng *rand.Rand) *version {
	v := &version{service: []string{"podnet-agent", "podnet-endpoint"}[rng.IntN(2)], family: uint8(rng.IntN(2))}
	for range rng.IntN(10) {
		v.insert(rng, v.random(rng))
	}
	return v
}

// random returns an endpoint, of which few are unlike each other.
func (v *version) random(rng *rand.Rand) []byte {
	family := discoveryv1.AddressTypeIPv4
	if v.family == 1 {
		family = discoveryv1.AddressTypeIPv6
	}
	e := endpointOf(v.service, family, fmt.Sprintf("n%d", rng.IntN(6)))
	ready, terminating := rng.IntN(3) > 0, rng.IntN(6) == 0
	e.Conditions = discoveryv1.EndpointConditions{Ready: &ready, Terminating: &terminating}
	another := func(addr, name string) { // a pod has one name and, in a family, one address
		e.Addresses[0] = addr
		e.TargetRef.Name += name
		e.TargetRef.UID += types.UID(addr + name)
	}
	switch rng.IntN(24) {
	case 0:
		e.NodeName = nil
	case 1:
		e.Addresses = nil
	case 2:
		another("no address", "")
	case 3:
		another("fe80::1%eth0", "")
	case 4:
		another("fd00:0:0::9", "") // not as it is written
	case 5, 6:
		another("10.9.9.9", "")
	case 7, 8:
		another(e.Addresses[0], "-other")
	case 9:
		e.TargetRef = nil
	case 10:
		e.TargetRef.UID = ""
	case 11:
		e.Zone = nil
	case 12:
		return []byte{0x0a} // ends too soon
	}
	data, err := e.Marshal()
	if err != nil {
		panic(err)
	}
	return data
}

func (v *version) insert(rng *rand.Rand, e []byte) {
	v.endpoints = slices.Insert(v.endpoints, rng.IntN(len(v.endpoints)+1), e)
}

// next turns the version into another one.
func (v *version) next(rng *rand.Rand) {
	for range rng.IntN(4) {
		if len(v.endpoints) == 0 {
			v.insert(rng, v.random(rng))
			continue
		}
		at, other := rng.IntN(len(v.endpoints)), rng.IntN(len(v.endpoints))
		switch rng.IntN(8) {
		case 0, 1:
			v.insert(rng, v.random(rng))
		case 2, 3:
			v.endpoints = slices.Delete(v.endpoints, at, at+1)
		case 4:
			v.endpoints[at] = v.random(rng)
		case 5:
			v.endpoints[at], v.endpoints[other] = v.endpoints[other], v.endpoints[at]
		case 6:
			v.insert(rng, v.endpoints[at])
		case 7:
			if rng.IntN(4) == 0 {
				rng.Shuffle(len(v.endpoints), func(i, j int) { v.endpoints[i], v.endpoints[j] = v.endpoints[j], v.endpoints[i] })
			}
			if rng.IntN(8) == 0 {
				*v = *randomVersion(rng) // maybe of the other Service or family
			}
		}
	}
}

// text returns the record that is to be made of an endpoint, "" for none.
func (v *version) text(message []byte) string {
	var e discoveryv1.Endpoint
	if e.Unmarshal(message) != nil || e.NodeName == nil || len(e.Addresses) == 0 {
		return ""
	}
	addr, err := netip.ParseAddr(e.Addresses[0])
	if err != nil || addr.Zone() != "" {
		return ""
	}
	pod := podID{uid: *e.NodeName}
	if e.TargetRef != nil {
		pod = podID{e.TargetRef.Namespace, e.TargetRef.Name, string(e.TargetRef.UID)}
	}
	if v.service == "podnet-agent" {
		pod = podID{uid: pod.uid}
	}
	return fmt.Sprint(*e.NodeName, pod, addr, v.family, v.service == "podnet-agent", *e.Conditions.Ready, *e.Conditions.Terminating, false)
}
