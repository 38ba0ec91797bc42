package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
)

// etcdURL is where etcd listens inside the control plane's namespace.
const etcdURL = "http://127.0.0.1:2379"

// startControlPlane starts etcd and the apiserver, and once that serves the
// controllers and the scheduler.
func (c *Cluster) startControlPlane(ctx context.Context) error {
	if err := c.startEtcd(); err != nil {
		return err
	}
	if err := c.startAPIServer(); err != nil {
		return err
	}
	if err := c.waitFor(ctx, "kube-apiserver", c.apiReady); err != nil {
		return err
	}
	return errors.Join(c.startControllers(), c.startScheduler())
}

func (c *Cluster) startEtcd() error {
	return c.start("etcd", c.Plan.Control.Netns, c.bin("etcd"),
		"--name=e2e", "--data-dir="+c.path("etcd"),
		"--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL,
		"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=e2e=http://127.0.0.1:2380",
		"--unsafe-no-fsync") // nothing of it outlives the machine
}

func (c *Cluster) startAPIServer() error {
	own := c.Plan.Control.Addr4
	return c.start("kube-apiserver", c.Plan.Control.Netns, c.bin("kubernetes/kube-apiserver"),
		"--advertise-address="+own.String(), "--bind-address="+own.String(), fmt.Sprintf("--secure-port=%d", apiPort),
		"--etcd-servers="+etcdURL, "--service-cluster-ip-range="+prefixes(c.Plan.Services),
		"--client-ca-file="+c.pki("ca.crt"), "--tls-cert-file="+c.pki("apiserver.crt"), "--tls-private-key-file="+c.pki("apiserver.key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+c.pki("sa.pub"), "--service-account-signing-key-file="+c.pki("sa.key"),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--kubelet-certificate-authority="+c.pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--kubelet-client-certificate="+c.pki("apiserver-kubelet.crt"), "--kubelet-client-key="+c.pki("apiserver-kubelet.key"))
}

func (c *Cluster) startControllers() error {
	args := []string{
		c.bin("kubernetes/kube-controller-manager"), "--kubeconfig=" + c.kubeconfig("kube-controller-manager"),
		"--bind-address=127.0.0.1", "--leader-elect=false", "--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.pki("sa.key"), "--root-ca-file=" + c.pki("ca.crt"),
		"--cluster-signing-cert-file=" + c.pki("ca.crt"), "--cluster-signing-key-file=" + c.pki("ca.key"),
		"--allocate-node-cidrs=true", "--cluster-cidr=" + prefixes(c.Plan.Pods), "--service-cluster-ip-range=" + prefixes(c.Plan.Services),
		"--node-monitor-grace-period=40s",
	}
	if c.Plan.IPv4Only {
		args = append(args, "--node-cidr-mask-size=24")
	} else {
		args = append(args, "--node-cidr-mask-size-ipv4=24", "--node-cidr-mask-size-ipv6=64")
	}
	return c.start("kube-controller-manager", c.Plan.Control.Netns, args...)
}

func (c *Cluster) startScheduler() error {
	return c.start("kube-scheduler", c.Plan.Control.Netns, c.bin("kubernetes/kube-scheduler"),
		"--kubeconfig="+c.kubeconfig("kube-scheduler"), "--bind-address=127.0.0.1", "--leader-elect=false")
}

// apiReady asks the apiserver whether it serves.
func (c *Cluster) apiReady(ctx context.Context) error {
	_, err := c.kubectl(ctx, nil, "get", "--raw", "/readyz")
	return err
}

// apiAddress is where the apiserver listens.
func (c *Cluster) apiAddress() netip.AddrPort {
	return netip.AddrPortFrom(c.Plan.Control.Addr4, apiPort)
}

// waitFor waits until a program of the cluster serves. It fails at once when
// the program has ended; the error holds the end of its log.
func (c *Cluster) waitFor(ctx context.Context, name string, serves func(context.Context) error) error {
	var ended error
	err := paging.Poll(ctx, startWithin, func(ctx context.Context) error {
		if _, ended = c.proc(name); ended != nil {
			return nil
		}
		return serves(ctx)
	})
	if err = errors.Join(ended, err); err != nil {
		return fmt.Errorf("%s does not serve: %w; its log says:\n%s", name, err, process.LogTail(c.logFile(name)))
	}
	return nil
}
