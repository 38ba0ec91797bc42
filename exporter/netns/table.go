package netns

import (
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/podnet-exporter/podnet_exporter/collectors"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// checkInterval is how long a path is believed to refer to the namespace that
// it referred to last.
const checkInterval = time.Second

// Table lists the network namespaces of this node: its own, which is that of
// the process, and those of its pods that it was told of, by a path or by
// their UID. It implements [collectors.Namespaces].
//
// It holds open no namespace, so that it keeps none alive. A pod whose path is
// gone is not listed; it is logged when it goes and when it is back. A pod that
// has a UID is listed while it has a process. Two pods with one namespace are
// listed once, and a pod in the node's namespace (hostNetwork) not at all.
type Table struct {
	log *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	own     uint64 // inode of the node's namespace, 0 until it was read
	told    []discovery.Pod
	pods    []discovery.Pod // that have a path or a UID, once each
	checked time.Time       // zero: the list is out of date
	list    []collectors.Namespace
	missing map[discovery.Pod]bool // was logged
	closed  bool
	byUID   *podFinder
}

// NewTable returns a Table with the node's own namespace only.
func NewTable(log *slog.Logger) *Table {
	return &Table{log: log, now: time.Now, missing: map[discovery.Pod]bool{}, byUID: newPodFinder(procRoot)}
}

// Close makes the list empty for good.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed, t.list = true, nil
	return nil
}

// Set tells which pods there are. Pods without a path or a UID are left out.
func (t *Table) Set(pods []discovery.Pod) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Equal(pods, t.told) {
		return
	}
	t.told, t.pods = slices.Clone(pods), nil
	known := make(map[discovery.Pod]bool, len(pods))
	for _, p := range pods {
		if (p.Netns != "" || p.UID != "") && !known[p] {
			known[p] = true
			t.pods = append(t.pods, p)
		}
	}
	for p := range t.missing {
		if !known[p] {
			delete(t.missing, p)
		}
	}
	t.byUID.set(t.pods, t.now())
	t.checked = time.Time{}
}

// List implements [collectors.Namespaces]. It looks at every path at most
// once per second.
func (t *Table) List() []collectors.Namespace {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	return t.list
}

// refresh is called with the lock held.
func (t *Table) refresh() {
	now := t.now()
	switch {
	case t.closed:
	case t.checked.IsZero() || now.Sub(t.checked) >= checkInterval:
		t.byUID.refresh(now)
		t.list = t.look()
		t.checked = now
	}
}

// look makes the list anew; earlier ones may still be in use.
func (t *Table) look() []collectors.Namespace {
	var list []collectors.Namespace
	listed := map[uint64]bool{}
	if own, err := t.node(); err != nil {
		t.log.Error("the node's own network namespace cannot be read, is /proc mounted?", "err", err)
	} else {
		list = append(list, own)
		listed[own.Inode] = true
	}
	names := map[[2]string]bool{}
	for _, p := range t.pods {
		path, inode := t.find(p)
		name := [2]string{p.Namespace, p.Name}
		if path == "" || listed[inode] || names[name] {
			continue
		}
		listed[inode], names[name] = true, true
		list = append(list, collectors.Namespace{
			Inode:     inode,
			Path:      path,
			Namespace: p.Namespace,
			Pod:       p.Name,
			Do:        func(f func() error) error { return doAt(path, inode, f) },
		})
	}
	return list
}

// find returns where the network namespace of a pod is; "" if there is none.
func (t *Table) find(p discovery.Pod) (path string, inode uint64) {
	if p.Netns == "" {
		return t.byUID.find(p.UID)
	}
	inode, err := Inode(p.Netns)
	t.report(p, err)
	if err != nil {
		return "", 0
	}
	return p.Netns, inode
}

// report logs the begin and the end of a pod's namespace being missing.
func (t *Table) report(p discovery.Pod, err error) {
	switch {
	case err != nil && !t.missing[p]:
		t.missing[p] = true
		t.log.Warn("network namespace of a pod cannot be found, nothing is read from it until it is there",
			"namespace", p.Namespace, "pod", p.Name, "err", err)
	case err == nil && t.missing[p]:
		delete(t.missing, p)
		t.log.Info("network namespace of a pod is there again", "namespace", p.Namespace, "pod", p.Name, "path", p.Netns)
	}
}

// doAt runs f in the namespace that path refers to, provided that it is still
// the one with that inode. Otherwise the error is fs.ErrNotExist.
func doAt(path string, inode uint64, f func() error) error {
	ns, err := Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	if ns.Inode() != inode {
		return fmt.Errorf("network namespace %s: replaced by another one: %w", path, fs.ErrNotExist)
	}
	return ns.Do(f)
}

// node returns the node's own namespace: that of any thread outside of Do.
func (t *Table) node() (collectors.Namespace, error) {
	if t.own == 0 {
		own, err := Inode(self)
		if err != nil {
			return collectors.Namespace{}, err
		}
		t.own = own
	}
	inode := t.own
	return collectors.Namespace{
		Inode: inode,
		Path:  ownPath,
		Node:  true,
		Do:    func(f func() error) error { return doOwn(inode, f) },
	}, nil
}

// ownPath is the namespace of the process's main thread, which only while that
// runs a Do is not the node's.
const ownPath = "/proc/self/ns/net"

// doOwn runs f in the process's own namespace. As a rule the calling thread is
// in it, so that no capability is needed.
func doOwn(inode uint64, f func() error) error {
	here, err := doHere(inode, f)
	if here || err != nil {
		return err
	}
	return doAt(ownPath, inode, f)
}

// doHere runs f on the calling thread if that is in the namespace with that
// inode, and tells whether it did.
func doHere(inode uint64, f func() error) (bool, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now, err := Inode(self)
	if err != nil || now != inode {
		return false, err
	}
	return true, f()
}
