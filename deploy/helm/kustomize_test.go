package helm_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const kustomize = "../kustomize"

// TestKustomizeMakesWhatTheChartMakes compares object by object. What is
// Helm's own is left out, and the namespace and the key are kustomize's.
func TestKustomizeMakesWhatTheChartMakes(t *testing.T) {
	base, err := filepath.Abs(filepath.Join(kustomize, "base"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name      string
		flags     []string
		component string
	}{
		{"the base is the defaults", nil, ""},
		{"with the component, as where the operator is", []string{operator}, "components: [component]\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := rendered(t, append(tt.flags, "--set", "key.existingSecret=podnet-key")...)
			for _, object := range want {
				withoutHelm(object.Object)
			}

			got := parse(t, build(t, overlay(t, base, tt.component)))
			if got["Namespace/podnet"] == nil {
				t.Error("there is no Namespace/podnet")
			}
			delete(got, "Namespace/podnet")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("objects (-chart +kustomize):\n%s", diff)
			}
		})
	}
}

// TestExampleMakesTheKey builds the overlay that the README shows.
func TestExampleMakesTheKey(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"base", "components", "example"} {
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(filepath.Join(kustomize, name))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "example", "key"), []byte("random"), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := parse(t, build(t, filepath.Join(folder, "example")))["Secret/podnet-key"]
	if secret == nil {
		t.Fatal("there is no Secret/podnet-key")
	}
	if diff := cmp.Diff(map[string]any{"key": "cmFuZG9t"}, secret.Object["data"]); diff != "" {
		t.Errorf("data of the Secret (-want +got):\n%s", diff)
	}
}

func build(t *testing.T, folder string) string {
	t.Helper()
	text, err := command(t, "kustomize", "build", folder)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// overlay returns a folder whose kustomization takes the base, and perhaps the
// component.
func overlay(t *testing.T, base, component string) string {
	t.Helper()
	folder := t.TempDir()
	for from, to := range map[string]string{base: "base", filepath.Join(base, "..", "components", "prometheus-operator"): "component"} {
		if err := os.CopyFS(filepath.Join(folder, to), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [base]\n" + component
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// withoutHelm removes what only Helm sets, wherever it is in an object.
func withoutHelm(value any) {
	switch v := value.(type) {
	case map[string]any:
		delete(v, "helm.sh/chart")
		delete(v, "app.kubernetes.io/managed-by")
		for _, child := range v {
			withoutHelm(child)
		}
	case []any:
		for _, child := range v {
			withoutHelm(child)
		}
	}
}
