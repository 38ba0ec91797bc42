package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// scanner tells which pods the processes of a procfs belong to, and which
// network namespaces they are in. It has to see the node's processes (in a
// pod: hostPID), and to be allowed to look into them (CAP_SYS_PTRACE).
//
// A process that was seen before is not read at every scan, only when it has
// given the same answer for twice as long as at the last reading: while a
// container starts, the runtime moves its process about, and then it stays.
type scanner struct {
	root    string // where the procfs is mounted
	self    int    // the process that is left out: this one, whose main thread may be in any namespace
	known   map[int]*process
	round   uint64 // of the latest scan
	listing []listed
	pods    map[string]podProcess
	denied  int
}

// process is what is known about one process.
type process struct {
	inode   uint64 // of its folder
	started uint64 // in clock ticks since boot; 0: not read
	where   whereabouts
	since   time.Time // it is known to be there
	read    time.Time
	round   uint64 // it was last seen in
}

// whereabouts is where a process is. Zero: in no pod.
type whereabouts struct {
	pod    string // UID
	inode  uint64 // of its network namespace; 0: it has none any more, or
	denied bool   // it could not be read for lack of rights
}

// inPod reports whether a process is known to be in a pod.
func (p *process) inPod() bool { return p != nil && p.where.pod != "" }

// podProcess is the process by which a pod's network namespace is found.
type podProcess struct {
	pid     int
	started uint64 // in clock ticks since boot
	inode   uint64 // of the network namespace
}

func newScanner(root string) *scanner {
	return &scanner{root: root, self: os.Getpid(), known: map[int]*process{}}
}

// path returns the path of a process's network namespace.
func (s *scanner) path(pid int) string { return s.dir(pid) + "/ns/net" }

func (s *scanner) dir(pid int) string { return filepath.Join(s.root, strconv.Itoa(pid)) }

// scan returns, by the UID of its pod, the process of each pod that has run
// longest: the sandbox (pause), or if there is none the first container. The
// map is not changed afterwards. If there are processes of pods that could not
// be looked into, the error says so, and the others are returned all the same.
func (s *scanner) scan(now time.Time) (map[string]podProcess, error) {
	changed, err := s.update(now)
	if err != nil {
		return nil, err
	}
	if changed || s.pods == nil {
		s.choose()
	}
	if s.denied > 0 {
		return s.pods, fmt.Errorf("network namespaces of %d processes in pods: %w (needs CAP_SYS_PTRACE)", s.denied, fs.ErrPermission)
	}
	return s.pods, nil
}

// update makes what is known of the processes current, and reports whether it
// was not.
func (s *scanner) update(now time.Time) (changed bool, err error) {
	if s.listing, err = listProcesses(s.root, s.listing[:0]); err != nil {
		return false, err
	}
	s.round++
	for _, l := range s.listing {
		if l.pid == s.self {
			continue
		}
		p := s.known[l.pid]
		if p == nil || p.inode != l.inode {
			changed = changed || p.inPod()
			p = &process{inode: l.inode}
			s.known[l.pid] = p
		}
		p.round = s.round
		if p.read.IsZero() || now.Sub(p.read) >= p.read.Sub(p.since) {
			changed = s.look(l.pid, p, now) || changed
		}
	}
	for pid, p := range s.known {
		if p.round != s.round {
			delete(s.known, pid)
			changed = changed || p.inPod()
		}
	}
	return changed, nil
}

// look reads where a process is, and reports whether that is news.
func (s *scanner) look(pid int, p *process, now time.Time) bool {
	where := s.find(pid, p)
	news := where != p.where
	if news || p.read.IsZero() {
		p.where, p.since = where, now
	}
	p.read = now
	return news
}

// find returns where a process is. One that has ended meanwhile is nowhere.
func (s *scanner) find(pid int, p *process) whereabouts {
	text, err := os.ReadFile(s.dir(pid) + "/cgroup")
	if err != nil {
		return whereabouts{}
	}
	c, inPod := parseCgroup(string(text))
	if !inPod {
		return whereabouts{}
	}
	inode, err := s.namespace(pid)
	if err != nil {
		return whereabouts{pod: c.pod, denied: errors.Is(err, fs.ErrPermission)}
	}
	if p.started == 0 {
		stat, err := os.ReadFile(s.dir(pid) + "/stat")
		if err != nil {
			return whereabouts{}
		}
		if p.started, err = parseStarted(string(stat)); err != nil {
			return whereabouts{}
		}
	}
	return whereabouts{pod: c.pod, inode: inode}
}

// namespace returns the inode number of a process's network namespace.
func (s *scanner) namespace(pid int) (uint64, error) {
	link, err := os.Readlink(s.path(pid))
	if err != nil {
		return 0, err
	}
	return parseNamespaceLink(link)
}

// moved reports whether the process by which one of the pods is found has left
// its namespace, by its end as a rule. It is asked anew by the next scan.
func (s *scanner) moved(uids map[string]bool) bool {
	moved := false
	for uid := range uids {
		p, ok := s.pods[uid]
		if !ok {
			continue
		}
		if inode, err := s.namespace(p.pid); err != nil || inode != p.inode {
			s.known[p.pid].read = time.Time{}
			moved = true
		}
	}
	return moved
}

// choose makes the map of pods anew. Earlier ones may still be in use.
func (s *scanner) choose() {
	s.pods, s.denied = map[string]podProcess{}, 0
	for pid, p := range s.known {
		switch {
		case p.where.denied:
			s.denied++
		case p.where.inode != 0:
			one := podProcess{pid: pid, started: p.started, inode: p.where.inode}
			if best, ok := s.pods[p.where.pod]; !ok || one.before(best) {
				s.pods[p.where.pod] = one
			}
		}
	}
}

// before reports whether a process has run longer than another one.
func (p podProcess) before(other podProcess) bool {
	if p.started != other.started {
		return p.started < other.started
	}
	return p.pid < other.pid
}
