package process

import (
	"os/exec"
	"testing"
)

func TestParseStat(t *testing.T) {
	const ids, rest = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", " 18 4711 20 21" // threads are between
	tests := []struct {
		name, line string
		ended      bool
		start      uint64
		ok         bool
	}{
		{"an ordinary line", "42 (sleep) S" + ids + " 1" + rest, false, 4711, true},
		{"a command with blanks and parentheses", "42 (a) (b) c) R" + ids + " 9" + rest, false, 4711, true},
		{"a zombie", "42 (sleep) Z" + ids + " 1" + rest, true, 4711, true},
		{"a zombie that has been waited for", "42 (sleep) X" + ids + " 0" + rest, true, 4711, true},
		{"another thread starts a program", "42 (sleep) Z" + ids + " 2" + rest, false, 4711, true},
		{"a line that was cut off", "42 (sleep) S 1 2", false, 0, false},
		{"no number of threads", "42 (sleep) S" + ids + " x" + rest, false, 0, false},
		{"no command", "42", false, 0, false},
		{"nothing", "", false, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ended, start, err := parseStat(tt.line)
			if (err == nil) != tt.ok || ended != tt.ended || start != tt.start {
				t.Errorf("got %t, %d, %v", ended, start, err)
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
