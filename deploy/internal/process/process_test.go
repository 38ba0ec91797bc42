package process

import (
	"os/exec"
	"testing"
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
	if !p.Running() {
		t.Fatal("a process that sleeps does not run")
	}
	other := p
	other.Start++
	if other.Running() {
		t.Error("a reused PID counts as the same process")
	}
	if err := other.End(); err != nil || !p.Running() {
		t.Fatalf("ending a reused PID: %v, and the process runs: %v", err, p.Running())
	}
	if err := p.End(); err != nil {
		t.Fatal(err)
	}
	if p.Running() {
		t.Error("it runs after it was ended")
	}
	if err := p.End(); err != nil {
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
	start, err := StartTime(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return Process{Name: "sleep", PID: cmd.Process.Pid, Start: start}
}
