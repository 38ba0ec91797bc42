package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// containerdSocket is where a node's containerd listens.
const containerdSocket = "/run/containerd/containerd.sock"

// supervise starts a node's programs in the order in which they need each
// other, and takes what orphans leave behind for as long as the node lives.
func (c *Cluster) supervise(n NodePlan) error {
	var init firstProcess
	if err := init.start(c.logFile(n.Name+"-containerd"), "containerd", "-c", c.nodePath(n, "containerd.toml")); err != nil {
		return err
	}
	go init.reap()
	if err := paging.Poll(context.Background(), startWithin, containerdServes); err != nil {
		return fmt.Errorf("containerd: %w", err)
	}
	images, err := filepath.Glob(c.path("images", "*.tar"))
	if err != nil {
		return err
	}
	for _, image := range images {
		if err := init.run(c.logFile(n.Name), "ctr", "--namespace", "k8s.io", "images", "import", image); err != nil {
			return fmt.Errorf("import %s: %w", image, err)
		}
	}
	err = init.start(c.logFile(n.Name+"-kubelet"), c.bin("kubernetes/kubelet"),
		"--config="+c.nodePath(n, "kubelet.yaml"), "--kubeconfig="+c.kubeconfig(n.Name), "--hostname-override="+n.Name,
		"--node-ip="+addresses(n), "--node-labels=topology.kubernetes.io/zone="+zone(n))
	if err != nil {
		return err
	}
	err = init.start(c.logFile(n.Name+"-kube-proxy"), c.bin("kubernetes/kube-proxy"), "--config="+c.nodePath(n, "kube-proxy.yaml"))
	if err != nil {
		return err
	}
	select {} // until it is killed
}

// containerdServes connects to containerd's socket.
func containerdServes(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", containerdSocket)
	if err != nil {
		return err
	}
	return conn.Close()
}

// firstProcess is process 1 of a PID namespace: it is the parent of all that
// have lost theirs.
type firstProcess struct {
	mu     sync.Mutex // held while a child is started, so that it is known before it is reaped
	waited map[int]chan unix.WaitStatus
}

// start starts a program whose output goes to a file.
func (f *firstProcess) start(log string, argv ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := forkExec(log, argv)
	return err
}

// run starts a program and waits for its end.
func (f *firstProcess) run(log string, argv ...string) error {
	ended := make(chan unix.WaitStatus, 1)
	f.mu.Lock()
	pid, err := forkExec(log, argv)
	if err == nil {
		if f.waited == nil {
			f.waited = map[int]chan unix.WaitStatus{}
		}
		f.waited[pid] = ended
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	if status := <-ended; status.ExitStatus() != 0 {
		return fmt.Errorf("%s: exit status %d; see %s", argv[0], status.ExitStatus(), log)
	}
	return nil
}

// reap takes the end of every child. It returns when there is none: then
// nothing of the node is left.
func (f *firstProcess) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "all programs of the node have ended:", err)
			os.Exit(1)
		}
		f.mu.Lock()
		ended := f.waited[pid]
		delete(f.waited, pid)
		f.mu.Unlock()
		if ended != nil {
			ended <- status
		}
	}
}

// forkExec starts a program in a session of its own.
func forkExec(log string, argv []string) (int, error) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return 0, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	in, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []uintptr{in.Fd(), out.Fd(), out.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", argv[0], err)
	}
	return pid, nil
}

// startWithin is how long any part of the cluster may take to serve.
const startWithin = 60 * time.Second
