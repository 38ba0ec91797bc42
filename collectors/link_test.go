package collectors

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorded returns a message that a real kernel (6.18, x86-64) sent.
func recorded(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// addRecorded makes every recorded message of a folder a seed.
func addRecorded(f *testing.F, folder string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no messages in %s: %v", folder, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

func TestParseLink(t *testing.T) {
	tests := []struct {
		name, file string
		want       link
	}{
		{"the loopback", "lo",
			link{index: 1, name: "lo", loopback: true, adminUp: true, carrier: true, mtu: 65536, peerNetns: -1}},
		{"a bridge", "cni0",
			link{index: 2, name: "cni0", kind: "bridge", adminUp: true, carrier: true, mtu: 1450, carrierChanges: 2, peerNetns: -1}},
		{"the host end of a veth, a port of the bridge", "veth-endpoint",
			link{index: 3, name: "veth-endpoint", kind: "veth", adminUp: true, carrier: true, mtu: 1450, carrierChanges: 2, master: 2, peer: 2, peerNetns: 0}},
		{"the pod's end of it", "pod-eth0",
			link{index: 2, name: "eth0", kind: "veth", adminUp: true, carrier: true, mtu: 1450, carrierChanges: 2, peer: 3, peerNetns: 0}},
		{"a tunnel that is down", "flannel.1",
			link{index: 5, name: "flannel.1", kind: "vxlan", mtu: 1400, peerNetns: -1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseLink(recorded(t, "link/"+tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(link{}, traffic{})); diff != "" {
				t.Errorf("parseLink() differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseLinkRefusesAShortMessage(t *testing.T) {
	if _, err := parseLink(make([]byte, ifInfoLen-1)); !errors.Is(err, errShort) {
		t.Errorf("parseLink() = %v; want %v", err, errShort)
	}
	var l link
	if err := l.parseStats(make([]byte, 16*8-1)); !errors.Is(err, errShort) {
		t.Errorf("parseStats() = %v; want %v", err, errShort)
	}
}

func TestParseStatsCountsMissedFramesAsDropped(t *testing.T) {
	var b []byte
	for i := range uint64(24) {
		b = binary.NativeEndian.AppendUint64(b, 100+i)
	}
	var got link
	if err := got.parseStats(b); err != nil {
		t.Fatal(err)
	}
	want := link{
		receive:  traffic{packets: 100, bytes: 102, errors: 104, drops: 106 + 115},
		transmit: traffic{packets: 101, bytes: 103, errors: 105, drops: 107},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(link{}, traffic{})); diff != "" {
		t.Errorf("parseStats() differs (-want +got):\n%s", diff)
	}
}

func FuzzParseLink(f *testing.F) {
	addRecorded(f, "link")
	f.Fuzz(func(_ *testing.T, b []byte) { parseLink(b) })
}

func FuzzParseNsid(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 8, 0, 1, 0, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := parseNsid(b); err != nil && n != -1 {
			t.Errorf("parseNsid() = %d, %v; want -1 with an error", n, err)
		}
	})
}
