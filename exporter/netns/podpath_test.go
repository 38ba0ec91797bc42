package netns

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// logFolders makes the kubelet's folder of logs, and returns its path.
func logFolders(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPodPath(t *testing.T) {
	const static = "3b703eafc01958649451cff5f28183ed"
	proc := newFakeProc(t)
	proc.start(300, 500, 11, inside(uidA))
	proc.start(301, 600, 12, inside(uidB))
	proc.start(302, 700, 13, inside(static))
	logs := logFolders(t, "shop_web-0_"+uidA, "shop_web-0_"+uidB, "shop_web_"+uidB, "kube-system_etcd-n1_"+static,
		"shop_gone_cccccccc-0000-4000-8000-000000000003", "shop_odd_1")
	other := logFolders(t, "far_web-1_"+uidA)
	none := "/nonexistent/pods"
	tests := []struct {
		name, namespace, pod string
		logs                 []string
		pid                  int
		says                 []string
	}{
		{"a pod", "shop", "web", []string{logs}, 301, nil},
		{"the newer one of two with its name", "shop", "web-0", []string{logs}, 301, nil},
		{"a static pod", "kube-system", "etcd-n1", []string{logs}, 302, nil},
		{"a pod in the second folder", "far", "web-1", []string{none, logs, other}, 300, nil},
		{"a pod that has ended", "shop", "gone", []string{logs}, 0, []string{"of 3 processes in " + proc.root, "in 3 pods", "cccccccc-0000-4000-8000-000000000003", "hostPID"}},
		{"a pod of another namespace", "default", "web", []string{logs, other}, 0, []string{"no folder default_web_UID", "6 pods in " + logs, "1 pods in " + other}},
		{"a folder that is no pod's", "shop", "odd", []string{logs}, 0, []string{"is not on this node"}},
		{"no Kubernetes node", "shop", "web", []string{none}, 0, []string{"is it a Kubernetes node?", none + ": no such file or directory"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := podPath(proc.root, tt.logs, tt.namespace, tt.pod)
			if tt.pid != 0 {
				if want := proc.dir(tt.pid) + "/ns/net"; err != nil || got != want {
					t.Errorf("podPath() = %q, %v; want %q", got, err, want)
				}
				return
			}
			if err == nil {
				t.Fatalf("podPath() = %q; want an error", got)
			}
			for _, says := range tt.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("podPath() = %v; want it to say %q", err, says)
				}
			}
		})
	}
}

func TestPodPathSaysThatThereIsNoProcfs(t *testing.T) {
	_, err := podPath("/nonexistent", []string{logFolders(t, "shop_web_"+uidA)}, "shop", "web")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("podPath() = %v; want fs.ErrNotExist", err)
	}
}

func TestPodPathNamesThePod(t *testing.T) {
	if _, err := PodPath("shop", "a_b"); err == nil || !strings.HasPrefix(err.Error(), "pod shop/a_b: ") {
		t.Errorf("PodPath() = %v; want an error that names the pod", err)
	}
}
