package discovery

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/podnet-exporter/podnet_exporter/exporter/strictyaml"
)

var update = flag.Bool("update", false, "write the messages of testdata/*.yaml into testdata/*.want")

func TestEveryMistakeHasItsMessage(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(strings.ReplaceAll(name, "-", " "), func(t *testing.T) {
			_, err := ReadFile(file)
			var mistakes strictyaml.Mistakes
			if !errors.As(err, &mistakes) {
				t.Fatalf("ReadFile() error = %v; want strictyaml.Mistakes", err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("messages differ (-want +got):\n%s", diff)
			}
		})
	}
}

const twoNodes = `
nodes:
  - name: n2
    zone: b
    state: draining
    addresses: ["::ffff:172.20.0.2"]
  - name: n1
    zone: a
    addresses: [172.20.0.1, "fd00:20::1"]
    endpoint:
      namespace: podnet
      pod: endpoint-n1
      addresses: [10.244.1.2, "fd00:244:1::2"]
      netns: /run/netns/podnet-n1-endpoint
    pods:
      - {namespace: default, pod: app-n1, netns: /run/netns/podnet-n1-app}
`

func TestNodesAreSortedAndComplete(t *testing.T) {
	got, err := parseNodes("", []byte(twoNodes))
	if err != nil {
		t.Fatal(err)
	}
	addrs := func(texts ...string) (out []netip.Addr) {
		for _, text := range texts {
			out = append(out, netip.MustParseAddr(text))
		}
		return out
	}
	want := Snapshot{Nodes: []*Node{
		{
			Name: "n1", Zone: "a", State: Ready,
			Addresses: addrs("172.20.0.1", "fd00:20::1"),
			Endpoint: Endpoint{
				Pod:       Pod{Namespace: "podnet", Name: "endpoint-n1", Netns: "/run/netns/podnet-n1-endpoint"},
				Addresses: addrs("10.244.1.2", "fd00:244:1::2"),
			},
			Pods: []Pod{{Namespace: "default", Name: "app-n1", Netns: "/run/netns/podnet-n1-app"}},
		},
		{Name: "n2", Zone: "b", State: Draining, Addresses: addrs("172.20.0.2")},
	}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("parseNodes() (-want +got):\n%s", diff)
	}
}

func TestTheExampleNamesEveryKey(t *testing.T) {
	if _, err := ReadFile("example.yaml"); err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	missing, err := strictyaml.Missing(example, reflect.TypeFor[fileNodes]())
	if err != nil || len(missing) > 0 {
		t.Errorf("example.yaml does not name %v, %v", missing, err)
	}
}

func FuzzParseNodes(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(twoNodes))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseNodes("nodes.yaml", data)
		if err != nil {
			return
		}
		seen := map[netip.Addr]string{}
		for i, n := range s.Nodes {
			if n.Name == "" || n.State == "" || len(n.Addresses) == 0 || len(n.Addresses) > 2 {
				t.Errorf("a node without name, state or addresses was taken: %+v", n)
			}
			if i > 0 && s.Nodes[i-1].Name >= n.Name {
				t.Errorf("nodes are not sorted by name, or one is there twice: %q before %q", s.Nodes[i-1].Name, n.Name)
			}
			for _, a := range append(n.Addresses, n.Endpoint.Addresses...) {
				if owner, ok := seen[a]; ok && owner != n.Name || a.Is4In6() {
					t.Errorf("address %v of %s was taken (other owner: %q)", a, n.Name, owner)
				}
				seen[a] = n.Name
			}
		}
	})
}
