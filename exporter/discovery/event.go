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
			stream.Serializer = eventSerializer{stream.Serializer}
			types[i].StreamSerializer = &stream
		}
	}
	return types
}

// eventSerializer reads the events of a watch in protobuf. What it wraps would
// make 17 kB of garbage for each endpoint of a large cluster that changes.
type eventSerializer struct{ runtime.Serializer }

// Decode implements [runtime.Decoder]. The event's object is in memory that
// nobody else has: client-go reads all frames of a watch into one buffer.
func (s eventSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	event, ok := into.(*metav1.WatchEvent)
	if !ok {
		return s.Serializer.Decode(data, defaults, into)
	}
	kind, object, ok := openEvent(data)
	if !ok {
		return s.Serializer.Decode(data, defaults, into)
	}
	*event = metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Raw: remember(object)}}
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

// forgotten is memory of objects, each a *[]byte, that can be used again.
var forgotten sync.Pool

// remember returns a copy of an object, for which recycle may be called.
func remember(object []byte) []byte {
	var memory []byte
	if was, ok := forgotten.Get().(*[]byte); ok {
		memory = *was
	}
	return append(memory[:0], object...)
}

// recycle has memory of an object used for others to come. Nobody may know of it
// any more.
func recycle(memory []byte) {
	if memory != nil {
		forgotten.Put(&memory)
	}
}
