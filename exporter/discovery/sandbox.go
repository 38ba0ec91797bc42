package discovery

import "strings"

// SandboxFailure is why a pod's sandbox could not be set up. The list is
// closed.
type SandboxFailure string

// The reasons.
const (
	PluginMissing  SandboxFailure = "plugin_missing" // no CNI plugin, or no configuration of one
	PluginError    SandboxFailure = "plugin_error"   // the CNI plugin, or its agent, failed
	NoAddresses    SandboxFailure = "no_addresses"   // the range that pods get their addresses from is used up
	SandboxTimeout SandboxFailure = "timeout"        // the container runtime or the plugin did not end in time
	OtherFailure   SandboxFailure = "other"          // not the network: image, container runtime, names
)

// SandboxFailures returns every reason.
func SandboxFailures() []SandboxFailure {
	return []SandboxFailure{PluginMissing, PluginError, NoAddresses, SandboxTimeout, OtherFailure}
}

// sandboxTexts is what the messages of FailedCreatePodSandBox events contain,
// in lower case. The first row that matches counts: what is not the network's
// names it in passing, and a plugin's own reason stands inside what the
// container runtime says of every failing plugin.
//
// Sources: the events of containerd, CRI-O and dockershim with host-local
// (bridge, flannel, canal, Antrea), Calico, Cilium, amazon-vpc-cni-k8s,
// azure-vnet, Kube-OVN, whereabouts and Multus.
func sandboxTexts() []struct {
	reason SandboxFailure
	texts  []string
} {
	return []struct {
		reason SandboxFailure
		texts  []string
	}{
		{OtherFailure, []string{
			"sandbox image", "failed to pull image", "failed to get image", "failed to reserve sandbox name", "name is reserved",
			"failed to create containerd task", "runc create failed", "oci runtime", "failed to start shim", "no runtime for",
			"failed to create cgroup", "failed to mount", "no space left on device",
		}},
		{NoAddresses, []string{
			"no ip addresses available", "no available ip", "no available address", "no free ip", "no more ip", "no more free", "not enough ip",
			"failed to assign an ip address to container", // amazon-vpc-cni-k8s
			"range is full", "ranges are exhausted", "ranges exhausted", "pool exhausted", "pool is exhausted", "postipamfailure", // Cilium
			"assigned 0 out of",                 // Calico
			"could not allocate ip in range",    // whereabouts
			"noavailableaddress",                // Kube-OVN
			"insufficientfreeaddressesinsubnet", // EC2
			"ip addresses used out", "out of ip addresses", "address pool is full",
		}},
		{PluginMissing, []string{
			"failed to find plugin", "cni plugin not initialized", "cni config uninitialized", "networkpluginnotready",
			"no cni configuration file", "no networks found in", "no valid networks found in", "no cni plugins",
			"fork/exec",
		}},
		{PluginError, []string{
			"connect: no such file or directory", "connection refused", // the plugin's agent on the node is away
			"unable to connect to cilium agent",
		}},
		{SandboxTimeout, []string{
			"deadline exceeded", "deadlineexceeded", "timed out", "timeout",
		}},
		{PluginError, []string{
			"network for sandbox", "network for pod", "cni", "plugin type=", "network plugin", "networkplugin", "netplugin", "pod network sandbox",
			"network namespace",
		}},
	}
}

// classifySandbox returns the reason that the message of an event gives.
func classifySandbox(message string) SandboxFailure {
	message = strings.ToLower(message)
	for _, row := range sandboxTexts() {
		for _, text := range row.texts {
			if strings.Contains(message, text) {
				return row.reason
			}
		}
	}
	return OtherFailure
}
