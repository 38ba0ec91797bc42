// Package helm_test checks the chart, and that kustomize's base is the same.
package helm_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	chart     = "podnet-exporter"
	operator  = "--api-versions=monitoring.coreos.com/v1" // as if the cluster had it
	namespace = "podnet"
)

// tool returns the path of a program in bin/, and skips the test without it.
func tool(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "bin", name)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Skipf("needs bin/%s; make test-deploy builds it", name)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs a program and returns what it prints, and what it complains of.
func command(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	// Nothing of this machine's own configuration gets in.
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "XDG_DATA_HOME="+home)
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s %v: %w\n%s", name, args, err, complaints.Bytes())
	}
	return string(out), nil
}

// render returns the chart's objects with these values and flags.
func render(t *testing.T, flags ...string) (objects, error) {
	t.Helper()
	text, err := command(t, "helm", append([]string{"template", "podnet", chart, "--namespace", namespace}, flags...)...)
	if err != nil {
		return nil, err
	}
	return parse(t, text), nil
}

// rendered is render of values that are right.
func rendered(t *testing.T, flags ...string) objects {
	t.Helper()
	o, err := render(t, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// objects is the objects of a rendering, by "Kind/name".
type objects map[string]*unstructured.Unstructured

func parse(t *testing.T, text string) objects {
	t.Helper()
	found := make(objects)
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(object.Object) == 0 {
			continue
		}
		id := object.GetKind() + "/" + object.GetName()
		if found[id] != nil {
			t.Errorf("%s is there twice", id)
		}
		found[id] = object
	}
}

// get decodes an object into the type that the API has for it.
func get[T any](t *testing.T, from objects, id string) *T {
	t.Helper()
	object := from[id]
	if object == nil {
		t.Fatalf("there is no %s", id)
	}
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	return typed
}

// strict decodes objects into the API's own types, where a field that the API
// does not know, or that is there twice, is an error.
func strict(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, rbacv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Strict: true})
}
