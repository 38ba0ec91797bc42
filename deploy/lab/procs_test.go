package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	tests := []struct {
		name, line string
		state      string
		start      uint64
		ok         bool
	}{
		{"an ordinary line", "42 (sleep)" + rest, "S", 4711, true},
		{"a command with blanks and parentheses", "42 (a) (b) c)" + rest, "S", 4711, true},
		{"a line that was cut off", "42 (sleep) S 1 2", "", 0, false},
		{"no command", "42", "", 0, false},
		{"nothing", "", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, start, err := parseStat(tt.line)
			if (err == nil) != tt.ok || state != tt.state || start != tt.start {
				t.Errorf("got %q, %d, %v", state, start, err)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("42 (sleep) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711")
	f.Fuzz(func(_ *testing.T, line string) {
		parseStat(line) //nolint:errcheck // it must not panic
	})
}

func TestProcess(t *testing.T) {
	p := sleeper(t)
	if !p.running() {
		t.Fatal("a process that sleeps does not run")
	}
	other := p
	other.Start++
	if other.running() {
		t.Error("a reused PID counts as the same process")
	}
	if err := other.end(); err != nil || !p.running() {
		t.Fatalf("ending a reused PID: %v, and the process runs: %v", err, p.running())
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	if p.running() {
		t.Error("it runs after it was ended")
	}
	if err := p.end(); err != nil {
		t.Errorf("ending it again: %v", err)
	}
}

// sleeper starts a process that ends with the test.
func sleeper(t *testing.T) Process {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	start, err := startTime(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return Process{Name: "sleep", PID: cmd.Process.Pid, Start: start}
}

func TestState(t *testing.T) {
	l := &Lab{Plan: NewPlan(cniRouted), StateDir: t.TempDir(), Out: io.Discard}
	if _, err := l.readState(); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("state of no lab: %v", err)
	}
	live := sleeper(t)
	dead := Process{Name: "agent-n1", PID: live.PID, Start: live.Start + 1}
	for _, p := range []Process{dead, {Name: "sleep", PID: 1}, live} {
		if err := l.changeState(func(s *State) { s.set(p) }); err != nil {
			t.Fatal(err)
		}
	}
	s, err := l.readState()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(State{CNI: cniRouted, Prefix: defaultPrefix, Processes: []Process{dead, live}}, s); diff != "" {
		t.Error(diff)
	}
	if p, err := l.proc("sleep"); err != nil || p.PID != live.PID {
		t.Errorf("the process that runs: %v, %v", p, err)
	}
	if _, err := l.proc("agent-n1"); !errors.Is(err, errNotRunning) {
		t.Errorf("the process that has ended: %v", err)
	}
	if err := l.stopProcess("sleep"); err != nil || live.running() {
		t.Errorf("stop: %v, and it runs: %v", err, live.running())
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
