package main

import (
	"net/netip"
	"strings"
)

// apiPort is where the apiserver listens.
const apiPort = 6443

// dnsAddress is where pods would ask for names. There is no DNS server in the
// cluster; without an address the kubelet warns of every pod.
const dnsAddress = "10.96.0.10"

// pauseImage holds the namespaces of every pod.
const pauseImage = "podnet.test/pause:1"

// object is a YAML mapping.
type object = map[string]any

func (c *Cluster) pki(name string) string { return c.path("pki", name) }

// kubeconfig returns where somebody's kubeconfig is.
func (c *Cluster) kubeconfig(who string) string { return c.pki(who + ".kubeconfig") }

func (c *Cluster) kubeconfigOf(who string) object {
	return object{
		"apiVersion": "v1", "kind": "Config", "current-context": "e2e",
		"clusters": []object{{"name": "e2e", "cluster": object{
			"server":                "https://" + c.apiAddress().String(),
			"certificate-authority": c.pki("ca.crt"),
		}}},
		"users":    []object{{"name": who, "user": object{"client-certificate": c.pki(who + ".crt"), "client-key": c.pki(who + ".key")}}},
		"contexts": []object{{"name": "e2e", "context": object{"cluster": "e2e", "user": who}}},
	}
}

// kubeletConfig differs from a kubelet's defaults in what a machine with
// cgroup v1, that is shared with others, needs.
func (c *Cluster) kubeletConfig(n NodePlan) object {
	return object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"address": n.Addr4.String(), "healthzBindAddress": "127.0.0.1",
		"authentication": object{
			"anonymous": object{"enabled": false}, "webhook": object{"enabled": true},
			"x509": object{"clientCAFile": c.pki("ca.crt")},
		},
		"authorization": object{"mode": "Webhook"},
		"tlsCertFile":   c.pki(n.Name + ".crt"), "tlsPrivateKeyFile": c.pki(n.Name + ".key"),
		"clusterDomain": "cluster.local", "clusterDNS": []string{dnsAddress}, "resolvConf": "",
		"cgroupDriver": "cgroupfs", "failCgroupV1": false, "failSwapOn": false,
		"containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
		// The machine's disk and memory are not the nodes' to defend.
		"evictionHard": object{
			"memory.available": "100Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%",
		},
		"imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
		"maxPods": 50,
	}
}

// proxyConfig leaves the machine's limits of connection tracking alone.
func (c *Cluster) proxyConfig(n NodePlan) object {
	return object{
		"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
		"mode": c.Plan.Proxy, "hostnameOverride": n.Name, "clusterCIDR": prefixes(c.Plan.Pods),
		"clientConnection":   object{"kubeconfig": c.kubeconfig("kube-proxy")},
		"healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
		"conntrack": object{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
	}
}

// cniConfig is the network of a node's pods: a bridge with the node's share of
// the pods' addresses. What leads to other nodes' pods is c.routePods.
func cniConfig(podCIDRs []netip.Prefix) object {
	var ranges [][]object
	var routes []object
	for _, p := range podCIDRs {
		ranges = append(ranges, []object{{"subnet": p.String()}})
		routes = append(routes, object{"dst": netip.PrefixFrom(unspecified(p.Addr()), 0).String()})
	}
	return object{
		"cniVersion": "1.0.0", "name": "e2e",
		"plugins": []object{
			{
				"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true, "mtu": 1500,
				"ipam": object{"type": "host-local", "ranges": ranges, "routes": routes},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// prefixes joins prefixes as Kubernetes' flags want them.
func prefixes(all []netip.Prefix) string {
	var texts []string
	for _, p := range all {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, ",")
}

// containerdConfig is version 2 of containerd's configuration, which 1.6 and
// 2.x both take. restrict_oom_score_adj: root may lack CAP_SYS_RESOURCE, as
// inside a sandbox.
const containerdConfig = `version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + pauseImage + `"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
`
