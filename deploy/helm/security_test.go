package helm_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// TestSecurityDocumentNamesEveryRight compares docs/SECURITY.md with the chart.
func TestSecurityDocumentNamesEveryRight(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := func(pattern string) []string {
		var found []string
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			found = append(found, strings.Join(match[1:], ": "))
		}
		slices.Sort(found)
		return found
	}
	o := rendered(t, "--set", "web.existingSecret=web")
	agent := get[appsv1.DaemonSet](t, o, "DaemonSet/podnet-agent").Spec.Template.Spec.Containers[0]

	var capabilities []string
	for _, c := range agent.SecurityContext.Capabilities.Add {
		capabilities = append(capabilities, "CAP_"+string(c))
	}
	slices.Sort(capabilities)
	if diff := cmp.Diff(capabilities, rows(`(?m)^\| (CAP_\w+) \|`)); diff != "" {
		t.Errorf("capabilities (-chart +document):\n%s", diff)
	}

	var mounts []string
	for _, m := range agent.VolumeMounts {
		mounts = append(mounts, m.MountPath)
	}
	slices.Sort(mounts)
	if diff := cmp.Diff(mounts, rows("(?m)^\\| `(/etc/\\S+)`")); diff != "" {
		t.Errorf("mounts (-chart +document):\n%s", diff)
	}

	var rules []string
	granted := func(rule []rbacv1.PolicyRule, where string) {
		for _, r := range rule {
			for _, resource := range r.Resources {
				rules = append(rules, resource+where+": "+strings.Join(r.Verbs, ", "))
			}
		}
	}
	granted(get[rbacv1.Role](t, o, "Role/podnet-agent").Rules, ", in its own namespace")
	granted(get[rbacv1.ClusterRole](t, o, "ClusterRole/podnet-agent").Rules, "")
	slices.Sort(rules)
	if diff := cmp.Diff(rules, rows(`(?m)^\| ([a-z]+(?:, in its own namespace)?) \| ((?:list|watch|get)(?:, \w+)*) \|`)); diff != "" {
		t.Errorf("rules (-chart +document):\n%s", diff)
	}
}
