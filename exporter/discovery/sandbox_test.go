package discovery

import "testing"

func TestClassesOfSandboxFailures(t *testing.T) {
	const (
		containerd = `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "42bf93c90d996c11": `
		docker     = `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to set up sandbox container "9f533b" network for pod "api-0": networkPlugin cni failed to set up pod "api-0_default" network: `
		crio       = `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create pod network sandbox k8s_web_default_0(8d3c): error adding pod default_web to CNI network "ovn-kubernetes": `
	)
	tests := []struct {
		name, message string
		want          SandboxFailure
	}{
		{"host-local, containerd", containerd + "failed to allocate for range 0: no IP addresses available in range set: 10.60.28.1-10.60.28.254", NoAddresses},
		{"host-local behind bridge", containerd + `plugin type="bridge" failed (add): failed to allocate for range 0: no IP addresses available in range set: 10.244.1.2-10.244.1.254`, NoAddresses},
		{"host-local, dockershim", docker + "failed to allocate for range 0: no IP addresses available in range set: ...", NoAddresses},
		{"flannel with Multus", containerd + `Multus: [default/csrx]: error adding container to network "flannel": delegateAdd: error invoking DelegateAdd - "flannel": error in getting result from AddNetwork: failed to allocate for range 0: no IP addresses available in range set: 10.244.1.1-10.244.1.254`, NoAddresses},
		{"combined", "(combined from similar events): " + containerd + "failed to allocate for range 0: no IP addresses available in range set: 10.1.56.1-10.1.56.254", NoAddresses},
		{"amazon-vpc-cni-k8s", containerd + `plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to assign an IP address to container`, NoAddresses},
		{"Cilium range full", docker + "unable to allocate IP via local cilium agent: [POST /ipam][502] postIpamFailure  range is full", NoAddresses},
		{"Cilium without words", containerd + `plugin type="cilium-cni" name="cilium" failed (add): unable to allocate IP via local cilium agent: [POST /ipam][502] postIpamFailure `, NoAddresses},
		{"Cilium multi-pool", containerd + `plugin type="cilium-cni" failed (add): unable to allocate IP via local cilium agent: [POST /ipam][502] postIpamFailure "all CIDR ranges are exhausted"`, NoAddresses},
		{"Calico", containerd + `plugin type="calico" failed (add): failed to request IPv4 addresses: Assigned 0 out of 1 requested IPv4 addresses; No more free affine blocks and strict affinity enabled`, NoAddresses},
		{"whereabouts", containerd + `plugin type="macvlan" failed (add): Error at storage engine: Could not allocate IP in range: ip: 10.9.0.1 / - 10.9.0.254 / range: net.IPNet{}`, NoAddresses},
		{"Kube-OVN", containerd + `plugin type="kube-ovn" failed (add): RPC failed; request ip return 500 NoAvailableAddress`, NoAddresses},

		{"no binary", containerd + `failed to find plugin "bridge" in path [/opt/cni/bin]`, PluginMissing},
		{"no binary behind a plugin", containerd + `plugin type="flannel" failed (add): failed to delegate add: failed to find plugin "bridge" in path [/opt/cni/bin]`, PluginMissing},
		{"binary cannot be started", containerd + `fork/exec /opt/cni/bin/calico: no such file or directory`, PluginMissing},
		{"not initialized, containerd", containerd + "cni plugin not initialized", PluginMissing},
		{"not initialized, old containerd", containerd + "cni config uninitialized", PluginMissing},
		{"not ready", "network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized", PluginMissing},
		{"no configuration, CRI-O", "Failed to create pod sandbox: rpc error: code = Unknown desc = No CNI configuration file in /etc/cni/net.d/. Has your network provider started?", PluginMissing},
		{"no configuration, Multus", docker + "Multus: [x/y]: error loading k8s delegates k8s args: TryLoadPodDelegates: error in getting k8s network for pod: GetNetworkDelegates: failed getting the delegate: GetCNIConfig: err in GetCNIConfigFromFile: No networks found in /etc/cni/multus/net.d", PluginMissing},

		{"flannel without subnet", containerd + `plugin type="flannel" failed (add): loadFlannelSubnetEnv failed: open /run/flannel/subnet.env: no such file or directory`, PluginError},
		{"Calico without its node", containerd + `plugin type="calico" failed (add): stat /var/lib/calico/nodename: no such file or directory: check that the calico/node container is running and has mounted /var/lib/calico/`, PluginError},
		{"Cilium without its agent", containerd + `plugin type="cilium-cni" failed (add): unable to connect to Cilium agent: failed to create cilium agent client after 30.000000 seconds timeout: Get "http://localhost/v1/config": dial unix /var/run/cilium/cilium.sock: connect: no such file or directory`, PluginError},
		{"amazon-vpc-cni-k8s without its daemon", containerd + `plugin type="aws-cni" name="aws-cni" failed (add): add cmd: Error received from AddNetwork gRPC call: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:50051: connect: connection refused"`, PluginError},
		{"bridge has another address", docker + `failed to set bridge addr: "cni0" already has an IP address different from 10.244.2.1/24`, PluginError},
		{"address taken", containerd + `plugin type="bridge" failed (add): failed to allocate for range 0: 10.244.1.5 has been allocated to 4f3a, duplicate allocation is not allowed`, PluginError},
		{"no words", docker + "netplugin failed with no error message", PluginError},
		{"Multus and its delegate", docker + `[kube-system/samplepod:macvlan-conf]: error adding container to network "macvlan-conf": Link not found`, PluginError},
		{"CRI-O", crio + `plugin type="ovn-k8s-cni-overlay" name="ovn-kubernetes" failed (add): CNI request failed with status 400: '[default/web] failed to configure pod interface'`, PluginError},
		{"plugin that ends with an error", containerd + `plugin type="broken" failed (add): exit status 1`, PluginError},

		{"kubelet gave up", "Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = context deadline exceeded", SandboxTimeout},
		{"plugin that hangs", containerd + `plugin type="bridge" failed (add): context deadline exceeded`, SandboxTimeout},
		{"plugin that asks the API server", containerd + `plugin type="multus" name="multus-cni-network" failed (add): Multus: [default/nginx]: error getting pod: Get "https://[10.96.0.1]:443/api/v1/namespaces/default/pods/nginx?timeout=1m0s": dial tcp 10.96.0.1:443: i/o timeout`, SandboxTimeout},
		{"OVN", crio + `plugin type="ovn-k8s-cni-overlay" failed (add): CNI request failed with status 400: 'timed out waiting for OVS port binding'`, SandboxTimeout},

		{"pause image", `Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = failed to get sandbox image "registry.k8s.io/pause:3.9": failed to pull image: dial tcp 1.2.3.4:443: i/o timeout`, OtherFailure},
		{"name", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to reserve sandbox name "web_default_8d3c_0": name "web_default_8d3c_0" is reserved for "42bf"`, OtherFailure},
		{"runc", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: cgroup: no such file`, OtherFailure},
		{"runtime class", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "gvisor" is configured`, OtherFailure},
		{"empty", "", OtherFailure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := classifySandbox(tt.message); got != tt.want {
				t.Errorf("classifySandbox(%q) = %s; want %s", tt.message, got, tt.want)
			}
		})
	}
}
