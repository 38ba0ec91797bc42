package discovery

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// running is a File under test, with what it sends and logs.
type running struct {
	*File
	snapshots chan Snapshot
	logged    chan string
}

// run starts a File that watches path until the test ends.
func run(t *testing.T, path string, poll time.Duration) *running {
	t.Helper()
	r := &running{snapshots: make(chan Snapshot), logged: make(chan string, 100)}
	r.File = NewFile(path, slog.New(slog.NewTextHandler(lines(r.logged), nil)))
	r.settle, r.poll = time.Millisecond, poll
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := r.Run(ctx, r.snapshots); err != nil {
			t.Errorf("Run() = %v; want nil when its context ends", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	return r
}

type lines chan<- string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// names waits for the next mesh.
func (r *running) names(t *testing.T) string {
	t.Helper()
	select {
	case s := <-r.snapshots:
		var names []string
		for _, n := range s.Nodes {
			names = append(names, n.Name)
		}
		return strings.Join(names, " ")
	case <-time.After(10 * time.Second):
		t.Fatal("no mesh within 10 s")
		return ""
	}
}

// log waits for the next line of the log.
func (r *running) log(t *testing.T) string {
	t.Helper()
	select {
	case line := <-r.logged:
		return line
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was logged within 10 s")
		return ""
	}
}

// text returns a file of nodes with the given names.
func text(names ...string) string {
	var b strings.Builder
	b.WriteString("nodes:\n")
	for i, name := range names {
		fmt.Fprintf(&b, "  - {name: %s, addresses: [10.0.0.%d]}\n", name, i+1)
	}
	return b.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// never is a poll that does not come, so that only events can bring a change.
const never = time.Hour

func TestFileSendsEveryChange(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, path string)
	}{
		{"written in place", func(t *testing.T, path string) { write(t, path, text("n1", "n2")) }},
		{"replaced by rename", func(t *testing.T, path string) {
			write(t, path+".new", text("n1", "n2"))
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}},
		{"removed and made anew", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			write(t, path, text("n1", "n2"))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "nodes.yaml")
			write(t, path, text("n1"))
			f := run(t, path, never)
			if got := f.names(t); got != "n1" {
				t.Fatalf("first mesh = %q; want n1", got)
			}
			tt.change(t, path)
			if got := f.names(t); got != "n1 n2" {
				t.Errorf("mesh after the change = %q; want n1 n2", got)
			}
			if err := f.Err(); err != nil {
				t.Errorf("Err() = %v; want nil", err)
			}
		})
	}
}

func TestFileFollowsTheSwapOfAConfigMap(t *testing.T) {
	dir := t.TempDir()
	version := func(name, content string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "nodes.yaml"), content)
		if err := os.Symlink(name, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..2026_1", text("n1"))
	if err := os.Symlink("..data/nodes.yaml", filepath.Join(dir, "nodes.yaml")); err != nil {
		t.Fatal(err)
	}
	f := run(t, filepath.Join(dir, "nodes.yaml"), never)
	if got := f.names(t); got != "n1" {
		t.Fatalf("first mesh = %q; want n1", got)
	}
	version("..2026_2", text("n1", "n2"))
	if got := f.names(t); got != "n1 n2" {
		t.Errorf("mesh after the swap = %q; want n1 n2", got)
	}
}

func TestFilePollsWhatMakesNoEvent(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "nodes.yaml")
	write(t, elsewhere, text("n1"))
	link := filepath.Join(t.TempDir(), "nodes.yaml")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	f := run(t, link, 10*time.Millisecond)
	if got := f.names(t); got != "n1" {
		t.Fatalf("first mesh = %q; want n1", got)
	}
	write(t, elsewhere+".new", text("n1", "n2"))
	if err := os.Rename(elsewhere+".new", elsewhere); err != nil {
		t.Fatal(err)
	}
	if got := f.names(t); got != "n1 n2" {
		t.Errorf("mesh after the change = %q; want n1 n2", got)
	}
}

func TestFileWaitsForAFolderThatIsMadeLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	f := run(t, filepath.Join(dir, "nodes.yaml"), 10*time.Millisecond)
	if line := f.log(t); !strings.Contains(line, "no such file") {
		t.Errorf("log = %q; want that the file is missing", line)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "nodes.new"), text("n1"))
	if err := os.Rename(filepath.Join(dir, "nodes.new"), filepath.Join(dir, "nodes.yaml")); err != nil {
		t.Fatal(err)
	}
	if got := f.names(t); got != "n1" {
		t.Errorf("mesh = %q; want n1", got)
	}
}

func TestABrokenFileIsLoggedOnceAndTheMeshStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.yaml")
	write(t, path, text("n1"))
	f := run(t, path, 10*time.Millisecond)
	f.names(t)
	f.log(t) // that the file was read

	write(t, path+".new", "nodes: [{name: n1}]\n")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	line := f.log(t)
	if !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "nodes.yaml:1: nodes[0].addresses: empty") {
		t.Errorf("log = %q; want the mistake with its line", line)
	}
	if err := f.Err(); err == nil {
		t.Error("Err() = nil while the file is broken")
	}

	// Put right again, with another node: the next line is about that, so the
	// mistake was not logged again by the polls between.
	write(t, path+".new", text("n1", "n3"))
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if got := f.names(t); got != "n1 n3" {
		t.Errorf("mesh = %q; want n1 n3", got)
	}
	if line := f.log(t); !strings.Contains(line, "level=INFO") {
		t.Errorf("log = %q; want that the file was read", line)
	}
	if err := f.Err(); err != nil {
		t.Errorf("Err() = %v; want nil", err)
	}
}
