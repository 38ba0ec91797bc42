package discovery

import (
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Numbers of the fields of an event of a watch. Source:
// k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto, WatchEvent, and
// k8s.io/apimachinery/pkg/runtime/generated.proto, RawExtension.
const (
	eventType   protowire.Number = 1
	eventObject protowire.Number = 2

	extensionRaw protowire.Number = 1
)

// SupportedMediaTypes implements [runtime.NegotiatedSerializer].
func (s sliceSerializer) SupportedMediaTypes() []runtime.SerializerInfo {
	types := slices.Clone(s.NegotiatedSerializer.SupportedMediaTypes())
	for i, t := range types {
		if t.MediaType == runtime.ContentTypeProtobuf && t.StreamSerializer != nil {
			stream := *t.StreamSerializer
			stream.Serializer = eventSerializer{stream.Serializer, s.memory}
			types[i].StreamSerializer = &stream
		}
	}
	return types
}

// eventSerializer reads the events of a watch in protobuf. What it wraps would
// make 17 kB of garbage for each endpoint of a large cluster that changes.
type eventSerializer struct {
	runtime.Serializer
	memory *memory
}

// Decode implements [runtime.Decoder]. The object of the event has memory of its
// own: client-go reads all frames of a watch into one buffer.
func (s eventSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	event, ok := into.(*metav1.WatchEvent)
	if !ok {
		return s.Serializer.Decode(data, defaults, into)
	}
	kind, object, ok := openEvent(data)
	if !ok {
		return s.Serializer.Decode(data, defaults, into)
	}
	*event = metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Raw: s.memory.hold(object)}}
	return event, defaults, nil
}

// openEvent returns what is in an event. It is false for one with anything
// unusual.
func openEvent(data []byte) (kind, object []byte, ok bool) {
	for len(data) > 0 {
		f, rest, err := nextField(data)
		switch {
		case err != nil:
			return nil, nil, false
		case f.number == eventType && kind == nil && f.bytes != nil:
			kind = f.bytes
		case f.number == eventObject && object == nil && f.bytes != nil:
			raw, behind, err := nextField(f.bytes)
			if err != nil || raw.number != extensionRaw || raw.bytes == nil || len(behind) > 0 {
				return nil, nil, false
			}
			object = raw.bytes
		default:
			return nil, nil, false
		}
		data = rest
	}
	return kind, object, object != nil
}

// memory is where objects are held until the index has taken what it needs of
// them, and then others.
type memory struct{ spare sync.Pool } // each a *[]byte

// hold returns a copy of an object.
func (m *memory) hold(object []byte) []byte {
	var free []byte
	if spare, ok := m.spare.Get().(*[]byte); ok {
		free = *spare
	}
	return append(free[:0], object...)
}

// release has the memory of an object used for others. Nobody may know of the
// object any more.
func (m *memory) release(object []byte) { m.spare.Put(&object) }
