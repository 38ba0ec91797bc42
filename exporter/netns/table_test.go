package netns

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/collectors"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

func source(ns *Namespace) string { return fmt.Sprintf("/proc/self/fd/%d", ns.file.Fd()) }

// clock is a time that stands still until it is moved.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func newTable(t *testing.T) (*Table, *clock, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	table, c := NewTable(slog.New(slog.NewTextHandler(&log, nil))), &clock{now: time.Unix(1000, 0)}
	table.now = c.read
	t.Cleanup(func() { table.Close() })
	return table, c, &log
}

func names(list []collectors.Namespace) []string {
	var names []string
	for _, ns := range list {
		names = append(names, ns.Name())
	}
	return names
}

func TestTableListsTheNodeFirstAndThenItsPods(t *testing.T) {
	a, b, dir := sandbox(t), sandbox(t), t.TempDir()
	mount(t, a, filepath.Join(dir, "a"))
	mount(t, b, filepath.Join(dir, "b"))
	table, _, _ := newTable(t)

	table.Set([]discovery.Pod{
		{Namespace: "podnet", Name: "endpoint-n1", Netns: filepath.Join(dir, "a")},
		{Namespace: "default", Name: "app", Netns: filepath.Join(dir, "b")},
		{Namespace: "default", Name: "path-not-known"},
		{Namespace: "default", Name: "twin", Netns: filepath.Join(dir, "b")},
		{Namespace: "kube-system", Name: "host-network", Netns: "/proc/self/ns/net"},
	})

	list := table.List()
	if diff := cmp.Diff([]string{"node", "podnet/endpoint-n1", "default/app"}, names(list)); diff != "" {
		t.Fatalf("List() differs (-want +got):\n%s", diff)
	}
	for _, ns := range list {
		if err := ns.Do(func() error {
			now, err := Inode(self)
			if now != ns.Inode {
				t.Errorf("Do of %s ran in namespace %d; want %d", ns.Name(), now, ns.Inode)
			}
			return err
		}); err != nil {
			t.Errorf("%s: %v", ns.Name(), err)
		}
	}
}

func TestTableSeesANamespaceGoComeBackAndBeReplaced(t *testing.T) {
	old, replacement := sandbox(t), sandbox(t)
	path := filepath.Join(t.TempDir(), "pod")
	pod := discovery.Pod{Namespace: "podnet", Name: "endpoint-n1", Netns: path}
	mount(t, old, path)
	table, clock, log := newTable(t)
	table.Set([]discovery.Pod{pod})
	before := table.List()

	unmount(t, path)
	if got := len(table.List()); got != 2 {
		t.Errorf("within the second the table lists %d namespaces; want the 2 it had", got)
	}
	if err := before[1].Do(func() error { return nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Do in a namespace that is gone = %v; want fs.ErrNotExist", err)
	}
	for range 3 {
		clock.now = clock.now.Add(checkInterval)
		if diff := cmp.Diff([]string{"node"}, names(table.List())); diff != "" {
			t.Errorf("List() after it went differs (-want +got):\n%s", diff)
		}
	}
	if n := strings.Count(log.String(), "cannot be found"); n != 1 {
		t.Errorf("its end was logged %d times; want once:\n%s", n, log)
	}

	mount(t, replacement, path)
	clock.now = clock.now.Add(checkInterval)
	list := table.List()
	if len(list) != 2 || list[1].Inode != replacement.Inode() {
		t.Fatalf("List() = %v; want the node and namespace %d", list, replacement.Inode())
	}
	if !strings.Contains(log.String(), "there again") {
		t.Errorf("its return was not logged:\n%s", log)
	}
	if err := before[1].Do(func() error { return nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Do in a namespace that was replaced = %v; want fs.ErrNotExist", err)
	}
}

func TestTableIsEmptyAfterClose(t *testing.T) {
	table, _, _ := newTable(t)
	if got := len(table.List()); got != 1 {
		t.Fatalf("List() has %d namespaces; want the node's own", got)
	}
	table.Close()
	if got := table.List(); len(got) != 0 {
		t.Errorf("List() after Close = %v; want nothing", got)
	}
}
