package collectors

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// fixedNamespaces is a list that does not change of namespaces.
type fixedNamespaces []Namespace

func (l fixedNamespaces) List() []Namespace { return l }

func TestNetworkNamespaces(t *testing.T) {
	set := NewSet(map[string]Collector{"namespaces": NewNetworkNamespaces(fixedNamespaces{
		{Inode: 1, Path: "/proc/self/ns/net", Node: true},
		{Inode: 2, Path: "/run/netns/web", Namespace: "shop", Pod: "web-1"},
	})}, slog.New(slog.DiscardHandler))
	want := `
# HELP podnet_network_namespace_info 1 for each network namespace of the node that is read: its path, for nsenter --net=PATH, and its inode number. An empty pod is the node itself.
# TYPE podnet_network_namespace_info gauge
podnet_network_namespace_info{inode="1",namespace="",path="/proc/self/ns/net",pod=""} 1
podnet_network_namespace_info{inode="2",namespace="shop",path="/run/netns/web",pod="web-1"} 1
`
	if err := testutil.CollectAndCompare(set, strings.NewReader(want), "podnet_network_namespace_info"); err != nil {
		t.Error(err)
	}
}
