package discovery

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Numbers of the fields of the envelope in which the API server sends an
// object. Source: k8s.io/apimachinery/pkg/runtime/generated.proto, Unknown and
// TypeMeta.
const (
	envelopeType protowire.Number = 1
	envelopeRaw  protowire.Number = 2

	typeVersion protowire.Number = 1
	typeKind    protowire.Number = 2
)

// envelopeMagic comes before every envelope. Source:
// k8s.io/apimachinery/pkg/runtime/serializer/protobuf.
const envelopeMagic = "k8s\x00"

// sliceSerializer has an EndpointSlice in protobuf read where it lies. What it
// wraps would copy it out of its envelope first.
type sliceSerializer struct {
	runtime.NegotiatedSerializer
	memory *memory
}

// DecoderToVersion implements [runtime.NegotiatedSerializer]. The decoder is
// for responses, and for the objects of a watch.
func (s sliceSerializer) DecoderToVersion(d runtime.Decoder, v runtime.GroupVersioner) runtime.Decoder {
	return sliceDecoder{s.NegotiatedSerializer.DecoderToVersion(d, v), s.memory}
}

// sliceDecoder leaves all but EndpointSlices in protobuf to what it wraps:
// lists, errors of the API server, JSON, and envelopes with anything unusual.
type sliceDecoder struct {
	runtime.Decoder
	memory *memory
}

// Decode implements [runtime.Decoder]. The slice that it returns has data for its
// own until the index has taken its endpoints: the body of a response, or what
// eventSerializer has made of an event.
func (d sliceDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	raw, ok := openSlice(data)
	if !ok || into != nil {
		return d.Decoder.Decode(data, defaults, into)
	}
	kind := discoveryv1.SchemeGroupVersion.WithKind(sliceKind)
	var s slice
	if err := s.Unmarshal(raw); err != nil {
		return nil, &kind, fmt.Errorf("discovery: slice: %w", err)
	}
	s.held, s.in = data, d.memory
	return &s, &kind, nil
}

// openSlice returns what is in the envelope of an EndpointSlice. It is false if
// it is not one for sure.
func openSlice(data []byte) (raw []byte, ok bool) {
	data, ok = bytes.CutPrefix(data, []byte(envelopeMagic))
	if !ok {
		return nil, false
	}
	var version, kind []byte
	for len(data) > 0 {
		f, rest, err := nextField(data)
		if err != nil || f.bytes == nil { // no field of it is a number
			return nil, false
		}
		switch f.number {
		case envelopeRaw:
			raw = f.bytes
		case envelopeType:
			if version, kind, ok = openType(f.bytes); !ok {
				return nil, false
			}
		}
		data = rest
	}
	return raw, string(version) == discoveryv1.SchemeGroupVersion.String() && string(kind) == sliceKind
}

// openType returns what an object is. It is false if the message has a number.
func openType(message []byte) (version, kind []byte, ok bool) {
	for len(message) > 0 {
		f, rest, err := nextField(message)
		if err != nil || f.bytes == nil {
			return nil, nil, false
		}
		switch f.number {
		case typeVersion:
			version = f.bytes
		case typeKind:
			kind = f.bytes
		}
		message = rest
	}
	return version, kind, true
}
