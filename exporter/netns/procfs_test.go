package netns

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// fakeProc is a procfs of folders, with the files of it that are read.
type fakeProc struct {
	t    *testing.T
	root string
	made int // folders, each of which gets another inode number
}

func newFakeProc(t *testing.T) *fakeProc {
	p := &fakeProc{t: t, root: t.TempDir()}
	p.write("uptime", "1 1\n")
	p.write("sys/kernel/pid_max", "4194304\n")
	return p
}

// start makes a process. Of an earlier one with that PID nothing remains.
func (p *fakeProc) start(pid int, started, netns uint64, cgroup string) {
	p.t.Helper()
	p.made++
	made := fmt.Sprintf("made-%d", p.made)
	p.write(made+"/cgroup", cgroup)
	p.write(made+"/stat", stat(started))
	p.link(made, netns)
	p.end(pid) // not before the new folder is there, so that it gets another inode number
	if err := os.Rename(filepath.Join(p.root, made), p.dir(pid)); err != nil {
		p.t.Fatal(err)
	}
}

// move puts a process into another network namespace and cgroup.
func (p *fakeProc) move(pid int, netns uint64, cgroup string) {
	p.t.Helper()
	p.write(strconv.Itoa(pid)+"/cgroup", cgroup)
	if err := os.RemoveAll(p.dir(pid) + "/ns"); err != nil {
		p.t.Fatal(err)
	}
	p.link(strconv.Itoa(pid), netns)
}

func (p *fakeProc) end(pid int) {
	p.t.Helper()
	if err := os.RemoveAll(p.dir(pid)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *fakeProc) dir(pid int) string { return filepath.Join(p.root, strconv.Itoa(pid)) }

func (p *fakeProc) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *fakeProc) link(dir string, netns uint64) {
	p.t.Helper()
	path := filepath.Join(p.root, dir, "ns")
	if err := os.MkdirAll(path, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Symlink(fmt.Sprintf("net:[%d]", netns), path+"/net"); err != nil {
		p.t.Fatal(err)
	}
}

// stat is a /proc/PID/stat of a process with a name that is hard to read.
func stat(started uint64) string {
	return fmt.Sprintf("7 (a ) b) S 1 7 7 0 -1 4194560 110 0 0 0 0 0 0 0 20 0 1 0 %d 2572288 223 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n", started)
}

// Two pods, and what cgroups their containers have.
const (
	uidA = "aaaaaaaa-0000-4000-8000-000000000001"
	uidB = "bbbbbbbb-0000-4000-8000-000000000002"

	outside = "0::/system.slice/containerd.service\n"
)

func inside(uid string) string {
	return "0::/kubepods/besteffort/pod" + uid + "/539febed3e924d7f98ff738a5165a0ab539febed3e924d7f98ff738a5165a0ab\n"
}
