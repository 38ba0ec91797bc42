// Manifests reads objects of Kubernetes in YAML from standard input and does
// what an API server does with them before it takes them: decode them
// strictly, set their defaults, and validate them, with its own code. Pods of
// the endpoint are held against the pod security standard "restricted".
//
// Objects of kinds that Kubernetes does not have are skipped, and named. The
// last line is how many passed and failed.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install" // into legacyscheme, as the next three
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/rbac"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	rbacvalidation "k8s.io/kubernetes/pkg/apis/rbac/validation"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	passed, failed, err := run(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(2)
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

// run checks every document and writes a line for each.
func run(in io.Reader, out io.Writer) (passed, failed int, err error) {
	for documents := yaml.NewYAMLReader(bufio.NewReader(in)); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return passed, failed, nil
		}
		if err != nil {
			return passed, failed, err
		}
		name, err := check(document)
		switch {
		case errors.Is(err, errEmpty):
		case errors.Is(err, errForeign):
			fmt.Fprintf(out, "skip  %s: %v\n", name, err)
		case err != nil:
			fmt.Fprintf(out, "FAIL  %s:\n  %s\n", name, strings.ReplaceAll(err.Error(), "\n", "\n  "))
			failed++
		default:
			fmt.Fprintf(out, "ok    %s\n", name)
			passed++
		}
	}
}

var (
	errEmpty   = errors.New("no object")
	errForeign = errors.New("not one of Kubernetes' own kinds")
)

// check returns what is wrong with an object, and its name.
func check(document []byte) (string, error) {
	var head struct {
		Kind     string
		Metadata struct{ Name string }
	}
	if err := yaml.Unmarshal(document, &head); err != nil {
		return "a document", err
	}
	if head.Kind == "" {
		return "", errEmpty
	}
	name := head.Kind + "/" + head.Metadata.Name
	codecs := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	object, _, err := codecs.UniversalDeserializer().Decode(document, nil, nil)
	if runtime.IsNotRegisteredError(err) {
		return name, errForeign
	}
	if err != nil {
		return name, err
	}
	var problems []error
	if set, ok := object.(*appsv1.DaemonSet); ok && strings.HasSuffix(set.Name, "-endpoint") {
		problems = append(problems, restricted(set))
	}
	legacyscheme.Scheme.Default(object)
	internal, err := legacyscheme.Scheme.ConvertToVersion(object, runtime.InternalGroupVersioner)
	if err != nil {
		return name, err
	}
	for _, e := range validate(internal) {
		problems = append(problems, e)
	}
	return name, errors.Join(problems...)
}

// validate is the API server's own validation of an object that is created.
func validate(object runtime.Object) field.ErrorList {
	switch o := object.(type) {
	case *apps.DaemonSet:
		return appsvalidation.ValidateDaemonSet(o, podutil.GetValidationOptionsFromPodTemplate(&o.Spec.Template, nil))
	case *core.Service:
		if len(o.Spec.ClusterIPs) == 0 && o.Spec.ClusterIP != "" {
			o.Spec.ClusterIPs = []string{o.Spec.ClusterIP} // which the API server does first
		}
		return corevalidation.ValidateServiceCreate(o)
	case *core.ServiceAccount:
		return corevalidation.ValidateServiceAccount(o)
	case *core.Secret:
		return corevalidation.ValidateSecret(o)
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(o)
	case *core.ResourceQuota:
		return corevalidation.ValidateResourceQuota(o)
	case *core.Namespace:
		return corevalidation.ValidateNamespace(o)
	case *rbac.Role:
		return rbacvalidation.ValidateRole(o)
	case *rbac.ClusterRole:
		return rbacvalidation.ValidateClusterRole(o, rbacvalidation.ClusterRoleValidationOptions{})
	case *rbac.RoleBinding:
		return rbacvalidation.ValidateRoleBinding(o)
	case *rbac.ClusterRoleBinding:
		return rbacvalidation.ValidateClusterRoleBinding(o)
	case *networking.NetworkPolicy:
		return networkingvalidation.ValidateNetworkPolicy(o, networkingvalidation.NetworkPolicyValidationOptions{})
	}
	return field.ErrorList{field.InternalError(nil, fmt.Errorf("no validation of %T is known here", object))}
}

// restricted holds the pods of a set against the pod security standard.
func restricted(set *appsv1.DaemonSet) error {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	level := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &set.Spec.Template.ObjectMeta, &set.Spec.Template.Spec))
	if !result.Allowed {
		return fmt.Errorf("not %q: %s", level.Level, result.ForbiddenDetail())
	}
	return nil
}
