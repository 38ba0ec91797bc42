package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// crashEndpoint ends the program of a node's endpoint pod whenever the kubelet
// has started it, until c.crashing is ended.
func crashEndpoint(ctx context.Context, c *Cluster, n NodePlan) error {
	pod, err := c.endpointPod(ctx, n)
	if err != nil {
		return err
	}
	if err := killProgram(string(pod.UID)); err != nil {
		return err
	}
	ctx, c.crashing = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				killProgram(string(pod.UID)) //nolint:errcheck // the first time it worked
			}
		}
	}()
	return nil
}

// killProgram kills a pod's programs, but not what holds its namespaces.
func killProgram(uid string) error {
	pids, err := podProcesses(uid)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err != nil || strings.TrimSpace(string(comm)) == "pause" {
			continue
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill %d: %w", pid, err)
		}
	}
	return nil
}

// replaceEndpoint ends that, and gives the node a new endpoint pod, whose
// program the kubelet does not hold back.
func replaceEndpoint(ctx context.Context, c *Cluster, n NodePlan) error {
	if c.crashing != nil {
		c.crashing()
	}
	pod, err := c.endpointPod(ctx, n)
	if err != nil {
		return err
	}
	if _, err := c.kubectl(ctx, nil, "delete", "pod", pod.Name, "--namespace="+namespace); err != nil {
		return err
	}
	return c.rolledOut(ctx)
}

// starter is the name of the pod that is to start on a node which cannot.
const starter = "starts"

// startPod makes a pod on a node, past the scheduler.
func (c *Cluster) startPod(ctx context.Context, n NodePlan) error {
	b, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": starter, "namespace": "default"},
		"spec": object{
			"nodeName": n.Name, "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false,
			"containers": []object{{"name": "pause", "image": pauseImage, "imagePullPolicy": "Never"}},
		},
	})
	if err != nil {
		return err
	}
	_, err = c.kubectl(ctx, b, "apply", "--filename=-")
	return err
}

func (c *Cluster) deletePod(ctx context.Context) error {
	_, err := c.kubectl(ctx, nil, "delete", "pod", starter, "--namespace=default", "--ignore-not-found", "--force", "--grace-period=0")
	return err
}

// breakPlugin makes the node's bridge plugin fail as one does that the kernel
// refuses something.
func breakPlugin(ctx context.Context, c *Cluster, n NodePlan) error {
	script := `#!/bin/sh
echo '{"cniVersion": "1.0.0", "code": 100, "msg": "failed to create bridge \"cni0\": operation not supported"}'
exit 1
`
	if err := replaceProgram(c.nodePath(n, "opt-cni", "bridge"), []byte(script)); err != nil {
		return err
	}
	return c.startPod(ctx, n)
}

func mendPlugin(ctx context.Context, c *Cluster, n NodePlan) error {
	return errors.Join(c.copyPlugins(n), c.deletePod(ctx))
}

// replaceProgram replaces a program, which may be running.
func replaceProgram(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o755); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// removeCNI takes the node's CNI configuration away.
func removeCNI(_ context.Context, c *Cluster, n NodePlan) error {
	if err := os.Remove(c.nodePath(n, "etc-cni", cniFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func restoreCNI(ctx context.Context, c *Cluster, n NodePlan) error {
	if err := c.programPods(ctx); err != nil {
		return err
	}
	return paging.Poll(ctx, startWithin, func(ctx context.Context) error { return c.nodesReady(ctx, []NodePlan{n}) })
}

// poolFolder is where the CNI plugin host-local keeps which addresses it gave
// out, one file each.
func (c *Cluster) poolFolder(n NodePlan) string { return c.nodePath(n, "cni", "networks", "e2e") }

// takenBy is what stands in the files of addresses that the fault took.
const takenBy = "podnet-fault"

// fillPool takes all IPv4 addresses that the node has left for pods, as a CNI
// does that loses the ends of pods.
func fillPool(ctx context.Context, c *Cluster, n NodePlan) error {
	shares, err := c.podCIDRs(ctx)
	if err != nil {
		return err
	}
	for _, share := range shares[n.Name] {
		if !share.Addr().Is4() {
			continue
		}
		for a := share.Addr().Next(); share.Contains(a); a = a.Next() {
			if err := take(filepath.Join(c.poolFolder(n), a.String())); err != nil {
				return err
			}
		}
	}
	return c.startPod(ctx, n)
}

// take takes an address that is free.
func take(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(takenBy)
	return err
}

// emptyPool gives back what fillPool took.
func emptyPool(ctx context.Context, c *Cluster, n NodePlan) error {
	files, err := os.ReadDir(c.poolFolder(n))
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		if _, err := netip.ParseAddr(f.Name()); err != nil {
			continue
		}
		path := filepath.Join(c.poolFolder(n), f.Name())
		if b, err := os.ReadFile(path); err == nil && string(b) == takenBy {
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(append(errs, c.deletePod(ctx))...)
}
