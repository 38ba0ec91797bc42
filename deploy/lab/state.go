package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// defaultStateDir is where a running lab keeps its files.
const defaultStateDir = "/run/podnet-lab"

// Lab is the lab that lives under one state directory.
type Lab struct {
	Plan     Plan
	StateDir string
	Repo     string    // folder of the module, where alerts/ and bin/ are
	NoAgents bool      // neither agents nor endpoints are started
	NoDNS    bool      // no DNS server is started
	Out      io.Writer // progress for people

	prefix string // of namespaces, from the command line
}

// State is what a running lab wrote down, STATE/state.json.
type State struct {
	CNI       string    `json:"cni"`
	Prefix    string    `json:"prefix"`
	Processes []Process `json:"processes"`
}

// Process is a program that the lab started.
type Process struct {
	Name  string   `json:"name"`  // agent-n1, endpoint-n1, prometheus, alertmanager
	PID   int      `json:"pid"`   //
	Start uint64   `json:"start"` // field 22 of /proc/PID/stat, clock ticks since boot: tells a reused PID
	Netns string   `json:"netns"`
	Argv  []string `json:"argv"`
	Log   string   `json:"log"`
}

func (l *Lab) path(name string) string { return filepath.Join(l.StateDir, name) }

// readState returns what the running lab wrote down. Without a lab the error
// is fs.ErrNotExist.
func (l *Lab) readState() (State, error) {
	b, err := os.ReadFile(l.path("state.json"))
	if err != nil {
		return State{}, fmt.Errorf("lab state: %w", err)
	}
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		return State{}, fmt.Errorf("lab state %s: %w", l.path("state.json"), err)
	}
	return s, nil
}

// changeState reads the state, lets change alter it, and writes it back whole;
// no other process changes it meanwhile.
func (l *Lab) changeState(change func(*State)) error {
	lock, err := os.OpenFile(l.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lab state: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lab state: lock: %w", err)
	}
	s, err := l.readState()
	if errors.Is(err, fs.ErrNotExist) {
		s, err = State{CNI: l.Plan.CNI, Prefix: l.Plan.Prefix}, nil
	}
	if err != nil {
		return err
	}
	change(&s)
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("lab state: %w", err)
	}
	return writeFile(l.path("state.json"), b)
}

// writeFile replaces a file at once: a reader sees the old text or the new.
func writeFile(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

// set replaces the process of the same name, or adds it.
func (s *State) set(p Process) {
	s.drop(p.Name)
	s.Processes = append(s.Processes, p)
}

func (s *State) drop(name string) {
	kept := s.Processes[:0]
	for _, p := range s.Processes {
		if p.Name != name {
			kept = append(kept, p)
		}
	}
	s.Processes = kept
}
