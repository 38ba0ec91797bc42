package helm_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
)

// everything switches on what is off by default.
var everything = []string{
	operator, "--set", "networkPolicy.enabled=true,priorityQuota.enabled=true,web.existingSecret=web,podMonitor.scheme=https",
	"--set", "agent.podAnnotations.a=b,agent.podLabels.c=d,endpoint.podAnnotations.e=f,image.pullSecrets[0].name=registry",
	"--set", "agent.appArmorProfile.type=Unconfined,agent.seLinuxOptions.type=spc_t,commonLabels.team=net",
	"--set", "agent.extraEnv[0].name=GOMEMLIMIT,agent.extraEnv[0].value=100MiB,dashboards.annotations.grafana_folder=Network",
	"--set", "podMonitor.basicAuth.username.name=web,podMonitor.basicAuth.username.key=user",
	"--set", "podMonitor.nativeHistograms=true,config.probes.icmp.interval=500ms,config.probes.icmp.timeout=400ms,config.mesh.peers=8",
}

func TestLintFindsNothing(t *testing.T) {
	if out, err := command(t, "helm", "lint", "--strict", chart); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestObjectsAreThoseOfTheDefaults(t *testing.T) {
	want := []string{
		"ClusterRole/podnet-agent", "ClusterRoleBinding/podnet-agent", "ConfigMap/podnet-agent",
		"DaemonSet/podnet-agent", "DaemonSet/podnet-endpoint", "Role/podnet-agent", "RoleBinding/podnet-agent",
		"Secret/podnet-key", "Service/podnet-agent", "Service/podnet-endpoint",
		"ServiceAccount/podnet-agent", "ServiceAccount/podnet-endpoint",
	}
	ids := func(o objects) []string {
		var got []string
		for id := range o {
			if !strings.HasPrefix(id, "ConfigMap/podnet-dashboard-") {
				got = append(got, id)
			}
		}
		slices.Sort(got)
		return got
	}
	if diff := cmp.Diff(want, ids(rendered(t))); diff != "" {
		t.Errorf("objects of the defaults (-want +got):\n%s", diff)
	}
	want = append(want, "PodMonitor/podnet-agent", "PrometheusRule/podnet")
	slices.Sort(want)
	if diff := cmp.Diff(want, ids(rendered(t, operator))); diff != "" {
		t.Errorf("objects where the operator is (-want +got):\n%s", diff)
	}
}

func TestEveryObjectIsOneThatTheAPITakes(t *testing.T) {
	for name, flags := range map[string][]string{"defaults": nil, "everything on": everything} {
		t.Run(name, func(t *testing.T) {
			decoder := strict(t)
			for id, object := range rendered(t, flags...) {
				if object.GetAPIVersion() == "monitoring.coreos.com/v1" {
					continue // its types are not Kubernetes' own
				}
				text, err := object.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := decoder.Decode(text, nil, nil); err != nil {
					t.Errorf("%s: %v", id, err)
				}
				if ns := object.GetNamespace(); ns != namespace && !strings.HasPrefix(id, "ClusterRole") {
					t.Errorf("%s is in namespace %q; want %q", id, ns, namespace)
				}
			}
		})
	}
}

// TestAPIServerAndOperatorTakeEveryObject has their own code judge the objects:
// decoded strictly, defaults set, validated; the endpoint held against the pod
// security standard "restricted".
func TestAPIServerAndOperatorTakeEveryObject(t *testing.T) {
	for name, flags := range map[string][]string{
		"defaults":      {operator},
		"everything on": everything,
	} {
		t.Run(name, func(t *testing.T) {
			text, err := command(t, "helm", append([]string{"template", "podnet", chart, "--namespace", namespace}, flags...)...)
			if err != nil {
				t.Fatal(err)
			}
			judge(t, text, len(parse(t, text)))
		})
	}
	t.Run("kustomize's base", func(t *testing.T) {
		text := build(t, filepath.Join(kustomize, "base"))
		judge(t, text, len(parse(t, text)))
	})
}

// judge fails unless every object of a text passes one of the two programs.
func judge(t *testing.T, text string, objects int) {
	t.Helper()
	passed := 0
	for _, program := range []string{filepath.Join("kubernetes", "manifests"), "operator-manifests"} {
		cmd := exec.CommandContext(t.Context(), tool(t, program))
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", program, err, out)
		}
		passed += strings.Count("\n"+string(out), "\nok ")
	}
	if passed != objects {
		t.Errorf("%d of %d objects were judged good", passed, objects)
	}
}

func TestAgentTakesItsConfiguration(t *testing.T) {
	t.Setenv("NODE_NAME", "n1")
	t.Setenv("POD_NAMESPACE", namespace)
	tests := []struct {
		name   string
		flags  []string
		change func(*config.Config) // of what the defaults are in a cluster
	}{
		{"defaults", nil, func(*config.Config) {}},
		{"another port for probes", []string{"--set", "ports.probe=1234"}, func(c *config.Config) {
			c.Probes.TCP.Port, c.Probes.UDP.Port, c.Responder.Listen = 1234, 1234, ":1234"
		}},
		{"another name", []string{"--set", "name=net"}, func(c *config.Config) {
			c.Discovery.Kubernetes.AgentsService, c.Discovery.Kubernetes.EndpointsService = "net-agent", "net-endpoint"
		}},
		{"every section", []string{"--set", "config.mesh.peers=9,config.probes.tcp.enabled=false,config.collectors.drops.enabled=false"},
			func(c *config.Config) {
				c.Mesh.Peers, c.Probes.TCP.Enabled, c.Collectors.Drops.Enabled = 9, false, false
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := rendered(t, tt.flags...)
			name := "ConfigMap/podnet-agent"
			if o[name] == nil {
				name = "ConfigMap/net-agent"
			}
			got, err := config.Parse([]byte(get[corev1.ConfigMap](t, o, name).Data["podnet_exporter.yaml"]))
			if err != nil {
				t.Fatal(err)
			}
			want := config.Default()
			want.Discovery.Kubernetes = config.KubernetesDiscovery{
				Namespace: namespace, AgentsService: "podnet-agent", EndpointsService: "podnet-endpoint",
			}
			want.Responder.KeyFile = "/etc/podnet_exporter/key/key"
			tt.change(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEndpointHasNoPrivilege is what docs/SECURITY.md promises.
func TestEndpointHasNoPrivilege(t *testing.T) {
	pod := get[appsv1.DaemonSet](t, rendered(t), "DaemonSet/podnet-endpoint").Spec.Template.Spec
	yes, no, nobody := true, false, int64(65534)
	c := pod.Containers[0]
	want := &corev1.SecurityContext{
		Privileged: &no, AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	if diff := cmp.Diff(want, c.SecurityContext); diff != "" {
		t.Errorf("security context of the container (-want +got):\n%s", diff)
	}
	wantPod := &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, RunAsUser: &nobody, RunAsGroup: &nobody, FSGroup: &nobody,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if diff := cmp.Diff(wantPod, pod.SecurityContext); diff != "" {
		t.Errorf("security context of the pod (-want +got):\n%s", diff)
	}
	if pod.HostNetwork || pod.HostPID || pod.HostIPC || pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("the endpoint shares something with the node, or has a token: %+v", pod)
	}
	if c.ReadinessProbe != nil || c.LivenessProbe != nil || c.StartupProbe != nil {
		t.Error("the endpoint has a probe; a kubelet that cannot reach it would hide the fault")
	}
}

func TestAgentHasOnlyItsCapabilities(t *testing.T) {
	pod := get[appsv1.DaemonSet](t, rendered(t), "DaemonSet/podnet-agent").Spec.Template.Spec
	yes, no, root := true, false, int64(0)
	want := &corev1.SecurityContext{
		RunAsUser: &root, RunAsGroup: &root,
		Privileged: &no, AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
		Capabilities: &corev1.Capabilities{
			Drop: []corev1.Capability{"ALL"},
			Add:  []corev1.Capability{"NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE", "SYSLOG"},
		},
	}
	if diff := cmp.Diff(want, pod.Containers[0].SecurityContext); diff != "" {
		t.Errorf("security context (-want +got):\n%s", diff)
	}
	for _, v := range pod.Volumes {
		if v.HostPath != nil {
			t.Errorf("volume %s is a folder of the node", v.Name)
		}
	}
}

func TestEveryPodIsFoundByItsServiceAndSurvivesTaints(t *testing.T) {
	o := rendered(t)
	for _, name := range []string{"podnet-agent", "podnet-endpoint"} {
		set := get[appsv1.DaemonSet](t, o, "DaemonSet/"+name)
		service := get[corev1.Service](t, o, "Service/"+name)
		if diff := cmp.Diff(set.Spec.Selector.MatchLabels, service.Spec.Selector); diff != "" {
			t.Errorf("%s: selectors of DaemonSet and Service (-set +service):\n%s", name, diff)
		}
		for key, value := range service.Spec.Selector {
			if set.Spec.Template.Labels[key] != value {
				t.Errorf("%s: pods have %s=%q; the Service wants %q", name, key, set.Spec.Template.Labels[key], value)
			}
		}
		if service.Spec.ClusterIP != corev1.ClusterIPNone || service.Spec.PublishNotReadyAddresses {
			t.Errorf("%s: the Service has to be headless and to say who is ready: %+v", name, service.Spec)
		}
		pod := set.Spec.Template.Spec
		if diff := cmp.Diff([]corev1.Toleration{{Operator: corev1.TolerationOpExists}}, pod.Tolerations); diff != "" {
			t.Errorf("%s: tolerations (-want +got):\n%s", name, diff)
		}
		if pod.PriorityClassName != "system-node-critical" || *pod.TerminationGracePeriodSeconds != 5 {
			t.Errorf("%s: priority %q, grace period %d", name, pod.PriorityClassName, *pod.TerminationGracePeriodSeconds)
		}
	}
}

func TestKeyIsRandomAndKept(t *testing.T) {
	key := func() string {
		secret := get[corev1.Secret](t, rendered(t), "Secret/podnet-key")
		if secret.Annotations["helm.sh/resource-policy"] != "keep" {
			t.Errorf("annotations %v; want the policy to keep it", secret.Annotations)
		}
		return string(secret.Data["key"])
	}
	first, second := key(), key()
	if len(first) != 44 || first == second { // 32 bytes in base64
		t.Errorf("keys %q and %q; want two of 32 bytes each that differ", first, second)
	}
	if o := rendered(t, "--set", "key.existingSecret=mine"); o["Secret/podnet-key"] != nil {
		t.Error("a key was made though there is one")
	}
}
