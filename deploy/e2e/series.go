package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// seriesCheck is the name of the check that breaks nothing.
const seriesCheck = "pod-series"

// seriesWithin is how long the agents may take to know their node's pods.
const seriesWithin = 60 * time.Second

// discardPort is a UDP port that nobody listens on in an endpoint pod.
const discardPort = 9

// checkSeries checks that what the agents say of pods is said of the right
// ones: every pod with a network of its own has its namespace, interface and
// connection tracking, each on its own node, and packets that a pod drops are
// counted as that pod's.
func (c *Cluster) checkSeries(ctx context.Context) paging.Result {
	result := paging.Result{ID: seriesCheck, Pass: true}
	for _, step := range []func(context.Context) error{c.podsAreKnown, c.dropsAreThePods} {
		if err := paging.Poll(ctx, seriesWithin, step); err != nil {
			result.Pass = false
			result.Reason = strings.TrimPrefix(result.Reason+"; "+err.Error(), "; ")
		}
	}
	return result
}

// podsAreKnown compares the pods that Kubernetes has with those of series.
func (c *Cluster) podsAreKnown(ctx context.Context) error {
	endpoints, all, err := c.podsByNode(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range []struct {
		expr string
		want map[string]bool
	}{
		{`podnet_network_namespace_info{pod!=""}`, all},
		{`podnet_interface_up{device="eth0", namespace="podnet", pod=~"podnet-endpoint-.*"}`, endpoints},
		{`podnet_sockets_listening{protocol="tcp", port="9798", namespace="podnet"}`, endpoints},
		{`podnet_conntrack_entries{network_namespace!="node"}`, all},
	} {
		got, err := c.monitor().Query(ctx, s.expr)
		if err != nil {
			return err
		}
		have := map[string]bool{}
		for _, sample := range got {
			have[sample.Labels["node"]+" "+podOf(sample)] = true
		}
		if !maps.Equal(have, s.want) {
			errs = append(errs, fmt.Errorf("%s is of %v, not of %v", s.expr,
				slices.Sorted(maps.Keys(have)), slices.Sorted(maps.Keys(s.want))))
		}
	}
	return errors.Join(errs...)
}

// podOf returns the pod that a sample is of, NAMESPACE/POD.
func podOf(s paging.Sample) string {
	if both, ok := s.Labels["network_namespace"]; ok {
		return both
	}
	return s.Labels["namespace"] + "/" + s.Labels["pod"]
}

// podsByNode returns "NODE NAMESPACE/POD" for the endpoint pods, and for all
// pods with a network of their own.
func (c *Cluster) podsByNode(ctx context.Context) (endpoints, all map[string]bool, err error) {
	var pods corev1.PodList
	if err := c.get(ctx, &pods, "pods", "--all-namespaces"); err != nil {
		return nil, nil, err
	}
	endpoints, all = map[string]bool{}, map[string]bool{}
	for _, p := range pods.Items {
		if p.Spec.HostNetwork || p.Status.PodIP == "" || p.DeletionTimestamp != nil {
			continue
		}
		name := p.Spec.NodeName + " " + p.Namespace + "/" + p.Name
		all[name] = true
		if p.Labels["app.kubernetes.io/component"] == "endpoint" {
			endpoints[name] = true
		}
	}
	return endpoints, all, nil
}

// dropsAreThePods sends packets that nobody takes to each endpoint pod, from
// its own node, and looks whose drops are counted.
func (c *Cluster) dropsAreThePods(ctx context.Context) error {
	for _, n := range c.Plan.Nodes {
		pod, err := c.endpointPod(ctx, n)
		if err != nil {
			return err
		}
		if err := sendInto(ctx, n.Netns, pod.Status.PodIP); err != nil {
			return err
		}
		expr := fmt.Sprintf(`podnet_drops_total{node=%q, namespace=%q, pod=%q, reason="NO_SOCKET", protocol="udp"} > 0`, n.Name, namespace, pod.Name)
		got, err := c.monitor().Query(ctx, expr)
		if err != nil {
			return err
		}
		if len(got) == 0 {
			return fmt.Errorf("no drops of %s, that has no socket for what it was sent", pod.Name)
		}
	}
	return nil
}

// sendInto sends UDP packets from a namespace to the discard port of a pod.
func sendInto(ctx context.Context, netnsName, address string) error {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return fmt.Errorf("address of the pod: %w", err)
	}
	conn, err := netspace.Dial(netnsName)(ctx, "udp", net.JoinHostPort(ip.String(), fmt.Sprint(discardPort)))
	if err != nil {
		return err
	}
	defer conn.Close()
	for range 5 {
		conn.Write([]byte("nobody listens")) //nolint:errcheck // the second says that the first was refused
	}
	return nil
}
