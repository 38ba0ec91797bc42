package main

import (
	"github.com/prometheus/common/version"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// source returns where cfg finds nodes.
func (a *agent) source(cfg config.Discovery) discovery.Source {
	a.kubernetes.Store(nil)
	if !cfg.Kubernetes.Enabled() {
		return discovery.NewFile(cfg.File.Path, a.log)
	}
	k := discovery.NewKubernetes(discovery.KubernetesOptions{
		Node: a.node, Namespace: cfg.Kubernetes.Namespace,
		AgentsService: cfg.Kubernetes.AgentsService, EndpointsService: cfg.Kubernetes.EndpointsService,
		Kubeconfig: cfg.Kubernetes.Kubeconfig, UserAgent: "podnet_exporter/" + version.Version,
	}, a.log)
	a.kubernetes.Store(k)
	return k
}

// kubernetesStatus returns what discovery knows of the cluster; it is false
// while nodes are discovered elsewhere.
func (a *agent) kubernetesStatus() (discovery.KubernetesStatus, bool) {
	k := a.kubernetes.Load()
	if k == nil {
		return discovery.KubernetesStatus{}, false
	}
	return k.Status(), true
}

// announce has the responder say what discovery knows of this node.
func (a *agent) announce() {
	if a.answering != nil {
		self, _ := a.snapshot.Node(a.node)
		a.answering.Announce(announcement(self.State))
	}
}
