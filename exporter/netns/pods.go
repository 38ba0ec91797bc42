package netns

import (
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// How often to look for the processes of pods. A look costs 0.6 µs of CPU time
// for each process of the node (BenchmarkScan).
const (
	scanInterval  = 5 * time.Second
	eagerInterval = time.Second      // when one is to be expected
	eagerFor      = 10 * time.Second // after the pods changed
)

// podFinder finds the network namespaces of pods by their UIDs. It does nothing
// as long as it is told of none.
type podFinder struct {
	processes *scanner
	uids      map[string]bool // of the pods that discovery knows
	wanted    bool            // there are such that have no path
	changed   time.Time       // when it was told of other pods
	scanned   time.Time       // zero: now is the time
	missed    bool            // somebody asked for a pod that was not found
	found     map[string]podProcess
	err       error // why some may be missing
}

func newPodFinder(root string) *podFinder { return &podFinder{processes: newScanner(root)} }

// set tells which pods there are.
func (f *podFinder) set(pods []discovery.Pod, now time.Time) {
	f.uids, f.wanted = map[string]bool{}, false
	for _, p := range pods {
		if p.UID != "" {
			f.uids[p.UID] = true
			f.wanted = f.wanted || p.Netns == ""
		}
	}
	f.changed, f.scanned = now, time.Time{}
}

// refresh looks for processes if it is time to.
func (f *podFinder) refresh(now time.Time) {
	interval := scanInterval
	if f.missed || now.Sub(f.changed) < eagerFor {
		interval = eagerInterval
	}
	switch {
	case !f.wanted:
		f.found, f.err = nil, nil
	case f.scanned.IsZero(), now.Sub(f.scanned) >= interval, f.processes.moved(f.uids):
		f.found, f.err = f.processes.scan(now)
		f.scanned, f.missed = now, false
	}
}

// find returns where the network namespace of a pod is; "" if it has no
// process.
func (f *podFinder) find(uid string) (path string, inode uint64) {
	p, ok := f.found[uid]
	if !ok {
		return "", 0
	}
	return f.processes.path(p.pid), p.inode
}

// unknown returns how many pods there are, other than in the namespace own,
// that discovery does not know.
func (f *podFinder) unknown(own uint64) int {
	n := 0
	for uid, p := range f.found {
		if !f.uids[uid] && p.inode != own {
			n++
		}
	}
	return n
}

// Path returns the path by which the network namespace of a pod is entered
// now; "" if the pod has no process, or is in the node's own. A pod that is
// asked for is looked for every second until it is found.
func (t *Table) Path(p discovery.Pod) string {
	if p.Netns != "" || p.UID == "" {
		return p.Netns
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	path, inode := t.byUID.find(p.UID)
	if path == "" {
		t.byUID.missed = true
	}
	if inode == t.own {
		return ""
	}
	return path
}

// Unknown implements [collectors.UnknownPods].
func (t *Table) Unknown() (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	return t.byUID.unknown(t.own), t.byUID.err
}
