package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// endpointPod returns the endpoint pod of a node, the newest if one is just
// being replaced.
func (c *Cluster) endpointPod(ctx context.Context, n NodePlan) (corev1.Pod, error) {
	var pods corev1.PodList
	err := c.get(ctx, &pods, "pods", "--namespace="+namespace,
		"--selector=app.kubernetes.io/component=endpoint", "--field-selector=spec.nodeName="+n.Name)
	if err != nil {
		return corev1.Pod{}, err
	}
	if len(pods.Items) == 0 {
		return corev1.Pod{}, fmt.Errorf("%s has no endpoint pod", n.Name)
	}
	return slices.MaxFunc(pods.Items, func(a, b corev1.Pod) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	}), nil
}

// endpointPID returns a process of a node's endpoint pod: that of its program
// or, while that is being restarted, the one that holds the pod's namespaces.
func (c *Cluster) endpointPID(ctx context.Context, n NodePlan) (int, error) {
	pod, err := c.endpointPod(ctx, n)
	if err != nil {
		return 0, err
	}
	pids, err := podProcesses(string(pod.UID))
	if err != nil {
		return 0, err
	}
	if len(pids) == 0 {
		return 0, fmt.Errorf("no process of pod %s", pod.Name)
	}
	return pids[0], nil
}

// podProcesses returns the PIDs, as this machine sees them, of a pod's
// processes: those whose cgroup has its UID in it.
func podProcesses(uid string) ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, dir := range dirs {
		b, err := os.ReadFile(dir + "/cgroup")
		if err != nil || !strings.Contains(string(b), "/pod"+uid) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// peerOf returns the index of the other end of a veth in a process's network
// namespace.
func peerOf(pid int, device string) (int, error) {
	ns, err := netns.GetFromPid(pid)
	if err != nil {
		return 0, err
	}
	defer netspace.Close(ns)
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, err
	}
	defer h.Close()
	link, err := h.LinkByName(device)
	if err != nil {
		return 0, err
	}
	return link.Attrs().ParentIndex, nil
}
