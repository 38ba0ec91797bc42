package collectors

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// fixedNamespaces is a list that does not change of namespaces.
type fixedNamespaces []Namespace

func (l fixedNamespaces) List() []Namespace { return l }

// unnamed is a number of unknown pods that does not change.
type unnamed struct {
	pods int
	err  error
}

func (u unnamed) Unknown() (int, error) { return u.pods, u.err }

func TestNetworkNamespaces(t *testing.T) {
	h := NewHandles(fixedNamespaces{
		{Inode: 1, Path: "/proc/self/ns/net", Node: true},
		{Inode: 2, Path: "/run/netns/web", Namespace: "shop", Pod: "web-1"},
		{Inode: 3, Path: "/run/netns/job", Namespace: "shop", Pod: "job-1"},
	})
	h.Brief = func(_, pod string) bool { return pod == "job-1" }
	set := NewSet(map[string]Collector{"namespaces": NewNetworkNamespaces(h, unnamed{pods: 3})}, slog.New(slog.DiscardHandler))
	want := `
# HELP podnet_network_namespace_info 1 for each network namespace of the node that is reported in full, or in which an interface has another MTU than the endpoint's: its path, for nsenter --net=PATH, and its inode number. An empty pod is the node itself.
# TYPE podnet_network_namespace_info gauge
podnet_network_namespace_info{inode="1",namespace="",path="/proc/self/ns/net",pod=""} 1
podnet_network_namespace_info{inode="2",namespace="shop",path="/run/netns/web",pod="web-1"} 1
# HELP podnet_network_namespaces_unknown Network namespaces of this node's pods that are not read because the API server has not told the agent which pods they are. More than 0 for longer than a pod takes to start or to end means that the agent does not hear of its node's pods.
# TYPE podnet_network_namespaces_unknown gauge
podnet_network_namespaces_unknown 3
`
	if err := testutil.CollectAndCompare(set, strings.NewReader(want), "podnet_network_namespace_info", "podnet_network_namespaces_unknown"); err != nil {
		t.Error(err)
	}
}

func TestNetworkNamespacesSaysWhatItMayNotSee(t *testing.T) {
	tests := []struct {
		name        string
		err         error
		unsupported bool
	}{
		{"a capability is missing", fmt.Errorf("network namespaces of 2 processes in pods: %w", fs.ErrPermission), true},
		{"there is no procfs", fmt.Errorf("processes: %w", fs.ErrNotExist), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewNetworkNamespaces(NewHandles(fixedNamespaces{}), unnamed{1, tt.err})
			metrics := make(chan prometheus.Metric, 1)
			err := c.Collect(metrics)
			if !errors.Is(err, tt.err) || errors.Is(err, ErrUnsupported) != tt.unsupported {
				t.Errorf("Collect() = %v; want %v, unsupported: %v", err, tt.err, tt.unsupported)
			}
			if len(metrics) != 1 {
				t.Errorf("Collect() sent %d metrics; want the number of those that were found", len(metrics))
			}
		})
	}
}
