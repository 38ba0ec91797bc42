package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// podOnThisMachine starts a process in a network namespace of its own, and in a
// cgroup like that of a pod, and returns its PID.
func podOnThisMachine(t *testing.T, uid string) int {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes cgroups and network namespaces")
	}
	group := podCgroupDir(t, uid)
	sleep := exec.Command("sleep", "1000")
	sleep.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sleep.Process.Kill()
		sleep.Wait()
	})
	if err := os.WriteFile(group+"/cgroup.procs", fmt.Append(nil, sleep.Process.Pid), 0); err != nil {
		t.Fatal(err)
	}
	return sleep.Process.Pid
}

// podCgroupDir makes the cgroup of a container in whatever hierarchy this
// machine has that processes can be put into.
func podCgroupDir(t *testing.T, uid string) string {
	t.Helper()
	var tried []error
	for _, hierarchy := range []string{"", "unified", "systemd", "pids"} {
		root := filepath.Join("/sys/fs/cgroup", hierarchy)
		if _, err := os.Stat(root + "/cgroup.procs"); err != nil {
			tried = append(tried, err)
			continue
		}
		top := filepath.Join(root, fmt.Sprintf("podnet-test-%d", os.Getpid()))
		group := filepath.Join(top, "kubepods/besteffort/pod"+uid, strings.Repeat("0123456789abcdef", 4))
		if err := os.MkdirAll(group, 0o755); err != nil {
			tried = append(tried, err)
			continue
		}
		t.Cleanup(func() {
			for dir := group; dir != root; dir = filepath.Dir(dir) {
				if err := os.Remove(dir); err != nil {
					t.Error(err)
				}
			}
		})
		return group
	}
	t.Skipf("needs a cgroup hierarchy that can be written to: %v", errors.Join(tried...))
	return ""
}

func TestTableEntersAPodByItsUID(t *testing.T) {
	const uid = "5f37c57c-0927-4039-992b-a890dda434d3"
	pid := podOnThisMachine(t, uid)
	want := inode(t, fmt.Sprintf("/proc/%d/ns/net", pid))
	table, _, _ := newTable(t)
	pod := discovery.Pod{Namespace: "shop", Name: "web-1", UID: uid}
	table.Set([]discovery.Pod{pod})

	list := table.List()
	if len(list) != 2 || list[1].Name() != "shop/web-1" || list[1].Inode != want {
		t.Fatalf("List() = %+v; want the node and shop/web-1 in namespace %d", list, want)
	}
	if path := fmt.Sprintf("/proc/%d/ns/net", pid); list[1].Path != path || table.Path(pod) != path {
		t.Errorf("paths are %s and %s; want %s, which nsenter takes", list[1].Path, table.Path(pod), path)
	}
	err := list[1].Do(func() error {
		if got := inode(t, self); got != want {
			t.Errorf("Do ran in namespace %d; want %d", got, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestScannerSaysThatItMayNotLook runs this test binary once more, as a user
// without any capability.
func TestScannerSaysThatItMayNotLook(t *testing.T) {
	if os.Getenv(childPath) != "" {
		_, err := newScanner(procRoot).scan(time.Unix(1000, 0))
		fmt.Println("scan says:", err)
		return
	}
	podOnThisMachine(t, "5f37c57c-0927-4039-992b-a890dda434d4")
	out := asNobody(t, "TestScannerSaysThatItMayNotLook")
	if !strings.Contains(out, "permission denied (needs CAP_SYS_PTRACE)") {
		t.Errorf("without capabilities:\n%s\nwant it to say what is needed", out)
	}
}
