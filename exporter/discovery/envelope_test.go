package discovery

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	restwatch "k8s.io/client-go/rest/watch"
)

// negotiator returns how client-go chooses decoders for the discovery group.
func negotiator() runtime.ClientNegotiator {
	codecs := serializer.NewCodecFactory(newScheme()).WithoutConversion()
	return runtime.NewClientNegotiator(sliceSerializer{codecs, &memory{}}, discoveryv1.SchemeGroupVersion)
}

// decoderOf returns what client-go reads responses of a media type with.
func decoderOf(t testing.TB, mediaType string) runtime.Decoder {
	t.Helper()
	decoder, err := negotiator().Decoder(mediaType, nil)
	if err != nil {
		t.Fatal(err)
	}
	return decoder
}

// watchOf returns a watch in protobuf as client-go reads it.
func watchOf(t testing.TB, body io.Reader) *restwatch.Decoder {
	t.Helper()
	object, events, framer, err := negotiator().StreamDecoder(runtime.ContentTypeProtobuf, nil)
	if err != nil {
		t.Fatal(err)
	}
	return restwatch.NewDecoder(streaming.NewDecoder(framer.NewFrameReader(io.NopCloser(body)), events), object)
}

// client-go reads all frames of a watch into the same buffer. What it made of
// one has to outlive it: informers have a queue.
func TestEventsOfAWatchDoNotShareMemory(t *testing.T) {
	first, second := fullSlice(), sliceOf("podnet-endpoint", discoveryv1.AddressTypeIPv4, "n5", "n6", "n7", "n8", "n9")
	var body bytes.Buffer
	for _, s := range []*discoveryv1.EndpointSlice{first, second} {
		wire, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		body.Write(frame(t, apiwatch.Modified, envelope(t, sliceKind, wire)))
	}
	body.Write(frame(t, apiwatch.Error, status(t)))
	decoder := watchOf(t, &body)
	var got []readSlice
	var came []*slice
	for range 2 {
		event, object, err := decoder.Decode()
		if err != nil || event != apiwatch.Modified {
			t.Fatalf("Decode() = %s, %v", event, err)
		}
		came = append(came, object.(*slice))
	}
	event, object, err := decoder.Decode()
	if told, ok := object.(*metav1.Status); !ok || event != apiwatch.Error || told.Code != 410 {
		t.Errorf("Decode() = %s, %v, %v; want the error that the API server sent", event, object, err)
	}
	for _, s := range came {
		if s.TypeMeta != (metav1.TypeMeta{}) {
			t.Errorf("kind is %+v; client-go clears it", s.TypeMeta)
		}
		got = append(got, read(t, s))
	}
	if diff := cmp.Diff([]readSlice{said(first), said(second)}, got); diff != "" {
		t.Errorf("slices (-want +got):\n%s", diff)
	}
}

// status returns an error of the API server in its envelope.
func status(t testing.TB) []byte {
	t.Helper()
	gone := &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: 410, Reason: metav1.StatusReasonExpired,
	}
	data, err := runtime.Encode(protobuf.NewSerializer(nil, nil), gone)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestASliceIsReadIntoTheOneThatIsGiven(t *testing.T) {
	wire, err := fullSlice().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var s slice
	if err := runtime.DecodeInto(decoderOf(t, runtime.ContentTypeProtobuf), envelope(t, sliceKind, wire), &s); err != nil || s.Name != fullSlice().Name {
		t.Errorf("DecodeInto() = %v, slice %q", err, s.Name)
	}
}

func TestWhatIsNoSliceInProtobufIsReadByClientGo(t *testing.T) {
	s := fullSlice()
	s.TypeMeta = metav1.TypeMeta{APIVersion: discoveryv1.SchemeGroupVersion.String(), Kind: sliceKind}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	list := discoveryv1.EndpointSliceList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []discoveryv1.EndpointSlice{*s}}
	wire, err := list.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		mediaType string
		data      []byte
	}{
		"a slice in JSON":    {runtime.ContentTypeJSON, text},
		"a list in protobuf": {runtime.ContentTypeProtobuf, envelope(t, sliceKind+"List", wire)},
	} {
		object, err := runtime.Decode(decoderOf(t, tt.mediaType), tt.data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l, ok := object.(*sliceList); ok {
			object = &l.Items[0]
		}
		if diff := cmp.Diff(said(s), read(t, object.(*slice))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// oddEnvelopes returns what the API server does not send: what an object is in
// two parts, twice, not at all, and as numbers.
func oddEnvelopes() (all [][]byte) {
	message := func(fields ...[]byte) []byte { return bytes.Join(fields, nil) }
	field := func(number protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	number := func(number protowire.Number) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), 7)
	}
	version, kind := field(typeVersion, []byte(discoveryv1.SchemeGroupVersion.String())), field(typeKind, []byte(sliceKind))
	raw := field(envelopeRaw, nil)
	for _, fields := range [][]byte{
		message(field(envelopeType, version), raw, field(envelopeType, kind)),
		message(field(envelopeType, message(version, kind, version, field(typeKind, nil))), raw),
		message(field(envelopeType, message(version, kind))),
		message(field(envelopeType, message(version, number(typeKind), kind)), raw),
		message(field(envelopeType, message(version, kind)), raw, number(envelopeRaw)),
		message(field(envelopeType, message(version, kind)), raw, number(envelopeType)),
		message(field(envelopeType, message(version, kind)), field(envelopeRaw, number(sliceEndpoints)), number(9)),
		raw,
	} {
		all = append(all, message([]byte(envelopeMagic), fields))
	}
	return all
}

// FuzzEnvelope compares the decoder with that of client-go, which it stands
// before.
func FuzzEnvelope(f *testing.F) {
	for _, s := range []*discoveryv1.EndpointSlice{fullSlice(), sliceOf("podnet-agent", discoveryv1.AddressTypeIPv4, "n1"), {}} {
		wire, err := s.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		data := envelope(f, sliceKind, wire)
		f.Add(data)
		f.Add(data[:len(data)-len(data)/3])
		f.Add(envelope(f, sliceKind+"List", wire))
		f.Add(append(data, data[len(envelopeMagic):]...)) // every field twice
	}
	for _, data := range oddEnvelopes() {
		f.Add(data)
	}
	f.Add(status(f))
	f.Add([]byte(envelopeMagic))
	f.Add([]byte(`{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1"}`))
	scheme := newScheme()
	theirs := runtime.WithoutVersionDecoder{Decoder: protobuf.NewSerializer(scheme, scheme)}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, wantKind, wantErr := theirs.Decode(data, nil, nil)
		got, gotKind, gotErr := sliceDecoder{theirs, &memory{}}.Decode(data, nil, nil)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("Decode() = %v; client-go's: %v", gotErr, wantErr)
		}
		if diff := cmp.Diff(wantKind, gotKind); diff != "" {
			t.Errorf("kind (-want +got):\n%s", diff)
		}
		ours, ok := got.(*slice)
		if !ok {
			return
		}
		if diff := cmp.Diff(read(t, want.(*slice)), read(t, ours)); diff != "" {
			t.Errorf("slice (-want +got):\n%s", diff)
		}
	})
}
