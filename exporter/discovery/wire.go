package discovery

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// An EndpointSlice of 100 endpoints comes whole whenever one of them changes,
// and a large cluster changes all the time. So slices are read from their
// protobuf form directly, and what an endpoint says is compared with what is
// known before anything is made of it.
//
// Source: k8s.io/api/discovery/v1/generated.proto, k8s.io/api/core/v1 and
// k8s.io/apimachinery/pkg/apis/meta/v1 beside it.

// Numbers of the fields that are read.
const (
	sliceMetadata    protowire.Number = 1
	sliceEndpoints   protowire.Number = 2
	sliceAddressType protowire.Number = 4

	listMetadata protowire.Number = 1
	listItems    protowire.Number = 2

	metaName        protowire.Number = 1
	metaNamespace   protowire.Number = 3
	metaVersion     protowire.Number = 6
	metaLabels      protowire.Number = 11
	metaAnnotations protowire.Number = 12

	mapKey   protowire.Number = 1
	mapValue protowire.Number = 2

	endpointAddresses  protowire.Number = 1
	endpointConditions protowire.Number = 2
	endpointTarget     protowire.Number = 4
	endpointNode       protowire.Number = 6
	endpointZone       protowire.Number = 7

	conditionReady       protowire.Number = 1
	conditionTerminating protowire.Number = 3

	targetKind      protowire.Number = 1
	targetNamespace protowire.Number = 2
	targetName      protowire.Number = 3
	targetUID       protowire.Number = 4
)

// wireField is one field of a message.
type wireField struct {
	number protowire.Number
	bytes  []byte // of a string or message: a part of the message it is in
	varint uint64 // of a bool
}

// nextField returns the first field of a message, and what follows it.
func nextField(message []byte) (f wireField, rest []byte, err error) {
	number, kind, n := protowire.ConsumeTag(message)
	if n < 0 {
		return f, nil, fmt.Errorf("discovery: protobuf: %w", protowire.ParseError(n))
	}
	f.number, rest = number, message[n:]
	switch kind {
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(rest)
	case protowire.VarintType:
		f.varint, n = protowire.ConsumeVarint(rest)
	default:
		n = protowire.ConsumeFieldValue(number, kind, rest)
	}
	if n < 0 {
		return f, nil, fmt.Errorf("discovery: protobuf: %w", protowire.ParseError(n))
	}
	return f, rest[n:], nil
}

// readMeta reads what a cache has to know of an object, and the value of one of
// its labels and one of its annotations. What is returned of these is a part of
// the message.
func (s *slice) readMeta(message []byte, label, annotation string) (labelled, annotated []byte, err error) {
	for len(message) > 0 {
		var f wireField
		if f, message, err = nextField(message); err != nil {
			return nil, nil, err
		}
		switch f.number {
		case metaName:
			s.Name = string(f.bytes)
		case metaNamespace:
			s.Namespace = intern(string(f.bytes))
		case metaVersion:
			s.ResourceVersion = string(f.bytes)
		case metaLabels, metaAnnotations:
			key, value, err := readPair(f.bytes)
			switch {
			case err != nil:
				return nil, nil, err
			case f.number == metaLabels && string(key) == label:
				labelled = value
			case f.number == metaAnnotations && string(key) == annotation:
				annotated = value
			}
		}
	}
	return labelled, annotated, nil
}

// readPair reads an entry of a map of strings.
func readPair(message []byte) (key, value []byte, err error) {
	for len(message) > 0 {
		var f wireField
		if f, message, err = nextField(message); err != nil {
			return nil, nil, err
		}
		switch f.number {
		case mapKey:
			key = f.bytes
		case mapValue:
			value = f.bytes
		}
	}
	return key, value, nil
}

// wireEndpoint is what the mesh needs of an endpoint, as parts of its message.
// The pod is that of its target, all empty if no pod is meant.
type wireEndpoint struct {
	node, zone, address  []byte
	namespace, name, uid []byte
	ready, terminating   bool
}

// readEndpoint reads an endpoint.
//
// An unknown readiness means ready, and of several addresses only the first
// counts (k8s.io/api/discovery/v1).
func readEndpoint(message []byte) (e wireEndpoint, err error) {
	e.ready = true
	for len(message) > 0 {
		var f wireField
		if f, message, err = nextField(message); err != nil {
			return e, err
		}
		switch f.number {
		case endpointAddresses:
			if e.address == nil {
				e.address = f.bytes
			}
		case endpointConditions:
			err = e.readConditions(f.bytes)
		case endpointTarget:
			err = e.readTarget(f.bytes)
		case endpointNode:
			e.node = f.bytes
		case endpointZone:
			e.zone = f.bytes
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

func (e *wireEndpoint) readConditions(message []byte) (err error) {
	for len(message) > 0 {
		var f wireField
		if f, message, err = nextField(message); err != nil {
			return err
		}
		switch f.number {
		case conditionReady:
			e.ready = f.varint != 0
		case conditionTerminating:
			e.terminating = f.varint != 0
		}
	}
	return nil
}

func (e *wireEndpoint) readTarget(message []byte) (err error) {
	var kind, namespace, name, uid []byte
	for len(message) > 0 {
		var f wireField
		if f, message, err = nextField(message); err != nil {
			return err
		}
		switch f.number {
		case targetKind:
			kind = f.bytes
		case targetNamespace:
			namespace = f.bytes
		case targetName:
			name = f.bytes
		case targetUID:
			uid = f.bytes
		}
	}
	if string(kind) == "Pod" {
		e.namespace, e.name, e.uid = namespace, name, uid
	}
	return nil
}
