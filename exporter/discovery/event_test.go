package discovery

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

// An object's memory is used for another one as soon as the index has taken its
// endpoints, and what it has made of them has to outlive that.
func TestTheIndexOutlivesTheMemoryOfEvents(t *testing.T) {
	all := large(300)
	var body bytes.Buffer
	for _, s := range all {
		wire, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		body.Write(frame(t, apiwatch.Added, envelope(t, sliceKind, wire)))
	}
	decoder, got := watchOf(t, &body), newIndex("podnet-agent")
	for range all {
		_, object, err := decoder.Decode()
		if err != nil {
			t.Fatal(err)
		}
		s := object.(*slice)
		memory := s.held
		got.put(s)
		if len(memory) == 0 || s.held != nil || s.endpoints != nil {
			t.Fatalf("of an object of %d bytes, a slice that the index has taken still has %d, endpoints in %d", len(memory), len(s.held), len(s.endpoints))
		}
		clear(memory[:cap(memory)])
	}
	want := largeIndex(t, all)
	got.judge(want.start)
	if diff := cmp.Diff(want.list(), got.list(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

// FuzzEvent compares what is read of an event with what client-go reads, to
// which anything unusual is left.
func FuzzEvent(f *testing.F) {
	field := func(number protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	number := func(number protowire.Number) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), 7)
	}
	kind, raw := field(eventType, []byte(apiwatch.Deleted)), field(extensionRaw, []byte("object"))
	object := field(eventObject, raw)
	for _, fields := range [][][]byte{
		{kind, object}, {object, kind}, {kind, kind, object}, {kind, object, object}, {kind}, {object}, {},
		{kind, object, number(3)}, {number(eventType), object}, {kind, number(eventObject)},
		{kind, field(eventObject, nil)}, {kind, field(eventObject, append(raw, raw...))}, {kind, field(eventObject, number(extensionRaw))},
		{kind, field(eventObject, field(extensionRaw, nil))}, {kind, field(eventObject, append(raw, number(2)...))}, {field(eventType, nil), object},
	} {
		data := bytes.Join(fields, nil)
		f.Add(data)
		f.Add(data[:len(data)-len(data)/3])
	}
	f.Add(frame(f, apiwatch.Error, status(f))[4:])
	_, ours, _, err := negotiator().StreamDecoder(runtime.ContentTypeProtobuf, nil)
	if err != nil {
		f.Fatal(err)
	}
	theirs := ours.(eventSerializer).Serializer
	f.Fuzz(func(t *testing.T, data []byte) {
		var want, got metav1.WatchEvent
		_, _, wantErr := theirs.Decode(data, nil, &want)
		object, _, gotErr := ours.Decode(data, nil, &got)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("Decode() = %v; client-go's: %v", gotErr, wantErr)
		}
		if gotErr != nil {
			return
		}
		if object != &got || got.Type != want.Type || !bytes.Equal(got.Object.Raw, want.Object.Raw) {
			t.Errorf("event %q %q; client-go's: %q %q", got.Type, got.Object.Raw, want.Type, want.Object.Raw)
		}
		if raw := got.Object.Raw; len(raw) > 0 {
			copied := bytes.Clone(raw)
			clear(data)
			if !bytes.Equal(raw, copied) {
				t.Error("the object shares memory with its frame")
			}
		}
	})
}

// A copy must not change when the memory of what it was made from is used again.
func TestACopyOfASliceHasMemoryOfItsOwn(t *testing.T) {
	wire, err := fullSlice().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	object, err := runtime.Decode(decoderOf(t, runtime.ContentTypeProtobuf), envelope(t, sliceKind, wire))
	if err != nil {
		t.Fatal(err)
	}
	s := object.(*slice)
	c := s.DeepCopyObject().(*slice)
	clear(s.held)
	if diff := cmp.Diff(said(fullSlice()), read(t, c)); diff != "" {
		t.Errorf("copy (-want +got):\n%s", diff)
	}
	if c.held != nil {
		t.Error("copy and slice would both give back the same memory")
	}
}
