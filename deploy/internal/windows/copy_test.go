package windows

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCopy(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"a.rules.yaml": "interval: 10s\n", "b.rules.yaml": "for: 5m\n", "alertmanager.yaml": "group_wait: 5s\n", "README.md": "prose\n",
	} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Copy(from, to, filepath.Join(to, "routes.yaml")); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	entries, err := os.ReadDir(to)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(to, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = string(text)
	}
	want := map[string]string{"a.rules.yaml": "interval: 1s\n", "b.rules.yaml": "for: 20s\n", "routes.yaml": "group_wait: 1s\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestCopyNamesTheFileThatIsWrong(t *testing.T) {
	from := t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "a.rules.yaml"), []byte("for: 7h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Copy(from, t.TempDir(), filepath.Join(from, "x")); err == nil || !strings.Contains(err.Error(), "a.rules.yaml") {
		t.Errorf("error %v; want one that names the file", err)
	}
	if err := os.Remove(filepath.Join(from, "a.rules.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := Copy(from, t.TempDir(), filepath.Join(from, "x")); err == nil || !strings.Contains(err.Error(), "alertmanager.yaml") {
		t.Errorf("error %v; want one that names the file that is missing", err)
	}
}
