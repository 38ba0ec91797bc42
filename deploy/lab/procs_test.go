package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
)

// sleeper starts a process that ends with the test.
func sleeper(t *testing.T) process.Process {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	start, err := process.StartTime(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return process.Process{Name: "sleep", PID: cmd.Process.Pid, Start: start}
}

func TestState(t *testing.T) {
	l := &Lab{Plan: NewPlan(cniRouted), StateDir: t.TempDir(), Out: io.Discard}
	if _, err := l.readState(); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("state of no lab: %v", err)
	}
	live := sleeper(t)
	dead := process.Process{Name: "agent-n1", PID: live.PID, Start: live.Start + 1}
	for _, p := range []process.Process{dead, {Name: "sleep", PID: 1}, live} {
		if err := l.changeState(func(s *State) { s.Processes.Set(p) }); err != nil {
			t.Fatal(err)
		}
	}
	s, err := l.readState()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(State{CNI: cniRouted, Prefix: defaultPrefix, Processes: process.List{dead, live}}, s); diff != "" {
		t.Error(diff)
	}
	if p, err := l.proc("sleep"); err != nil || p.PID != live.PID {
		t.Errorf("the process that runs: %v, %v", p, err)
	}
	if _, err := l.proc("agent-n1"); !errors.Is(err, process.ErrNotRunning) {
		t.Errorf("the process that has ended: %v", err)
	}
	if err := l.stopProcess("sleep"); err != nil || live.Running() {
		t.Errorf("stop: %v, and it runs: %v", err, live.Running())
	}
}

func TestRemoveDirSparesOtherFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/thesis.txt", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := removeDir(dir); err == nil {
		t.Error("removed a folder that is not the lab's")
	}
	if _, err := os.Stat(dir + "/thesis.txt"); err != nil {
		t.Error(err)
	}
}
