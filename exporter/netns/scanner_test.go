package netns

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// scanned is a scanner of a made-up procfs, and a clock.
type scanned struct {
	*fakeProc
	scanner *scanner
	now     time.Time
}

func newScanned(t *testing.T) *scanned {
	proc := newFakeProc(t)
	return &scanned{fakeProc: proc, scanner: newScanner(proc.root), now: time.Unix(1000, 0)}
}

// pods scans d after the last time, and returns the PID found for each pod.
func (s *scanned) pods(d time.Duration) map[string]int {
	s.t.Helper()
	s.now = s.now.Add(d)
	found, err := s.scanner.scan(s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	pids := map[string]int{}
	for uid, p := range found {
		pids[uid] = p.pid
	}
	return pids
}

func (s *scanned) want(d time.Duration, want map[string]int) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.pods(d)); diff != "" {
		s.t.Errorf("pods differ (-want +got):\n%s", diff)
	}
}

func TestScannerFindsThePodByItsOldestProcess(t *testing.T) {
	s := newScanned(t)
	s.start(1, 1, 10, outside)
	s.start(300, 500, 11, inside(uidA))
	s.start(90, 501, 11, inside(uidA)) // PIDs have started anew
	s.start(400, 500, 11, inside(uidA))
	s.start(500, 700, 12, inside(uidB))
	s.want(0, map[string]int{uidA: 300, uidB: 500})

	s.end(300)
	s.want(time.Second, map[string]int{uidA: 400, uidB: 500})
	s.end(400)
	s.end(90)
	s.want(time.Second, map[string]int{uidB: 500})
	s.start(600, 900, 13, inside(uidA))
	s.want(time.Second, map[string]int{uidA: 600, uidB: 500})
}

func TestScannerSeesAnotherProcessWithTheSamePID(t *testing.T) {
	tests := []struct {
		name   string
		cgroup string
		want   map[string]int
	}{
		{"in another pod", inside(uidB), map[string]int{uidB: 300}},
		{"in no pod", outside, map[string]int{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScanned(t)
			s.start(300, 500, 11, inside(uidA))
			s.want(0, map[string]int{uidA: 300})
			s.pods(time.Hour)
			s.start(300, 900, 12, tt.cgroup)
			s.want(time.Second, tt.want)
		})
	}
}

func TestScannerFollowsAProcessThatStarts(t *testing.T) {
	s := newScanned(t)
	s.start(300, 500, 10, outside)
	s.want(0, map[string]int{})
	s.move(300, 10, inside(uidA)) // the runtime has moved it, and it has not entered its namespaces yet
	s.want(time.Second, map[string]int{uidA: 300})
	s.move(300, 11, inside(uidA))
	found, err := s.scanner.scan(s.now.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if got := found[uidA].inode; got != 11 {
		t.Errorf("namespace of the pod = %d; want 11", got)
	}
}

func TestScannerReadsAProcessLessOftenTheLongerItStays(t *testing.T) {
	s := newScanned(t)
	s.start(300, 500, 11, outside)
	begin := s.now
	var reads []int
	for i := range 40 {
		s.pods(min(time.Duration(i), 1) * time.Second)
		if s.scanner.known[300].read.Equal(s.now) {
			reads = append(reads, int(s.now.Sub(begin)/time.Second))
		}
	}
	if diff := cmp.Diff([]int{0, 1, 2, 4, 8, 16, 32}, reads); diff != "" {
		t.Errorf("seconds at which it was read differ (-want +got):\n%s", diff)
	}
}

func TestScannerAsksAgainWhereAProcessWentThatMoved(t *testing.T) {
	s := newScanned(t)
	s.start(300, 500, 11, inside(uidA))
	s.pods(0)
	s.pods(time.Hour)
	uids := map[string]bool{uidA: true, uidB: true}
	if s.scanner.moved(uids) {
		t.Error("moved() before it moved")
	}
	s.move(300, 12, inside(uidA))
	if !s.scanner.moved(uids) {
		t.Error("moved() = false after it entered another namespace")
	}
	found, err := s.scanner.scan(s.now.Add(time.Second))
	if err != nil || found[uidA].inode != 12 {
		t.Errorf("scan() = %v, %v; want namespace 12", found, err)
	}
	s.end(300)
	if !s.scanner.moved(uids) {
		t.Error("moved() = false after it ended")
	}
}

func TestScannerLeavesOutProcessesThatAreEnding(t *testing.T) {
	s := newScanned(t)
	s.start(300, 500, 11, inside(uidA))
	if err := os.RemoveAll(s.dir(300) + "/ns"); err != nil { // as of a zombie
		t.Fatal(err)
	}
	s.start(301, 501, 11, inside(uidA))
	s.start(302, 400, 11, inside(uidA))
	if err := os.Remove(s.dir(302) + "/stat"); err != nil {
		t.Fatal(err)
	}
	s.start(303, 300, 11, inside(uidA))
	if err := os.Remove(s.dir(303) + "/cgroup"); err != nil {
		t.Fatal(err)
	}
	s.want(0, map[string]int{uidA: 301})
}

func TestScannerLeavesOutItself(t *testing.T) {
	s := newScanned(t)
	s.scanner.self = 300
	s.start(300, 500, 11, inside(uidA))
	s.start(301, 501, 12, inside(uidA))
	s.want(0, map[string]int{uidA: 301})
}

func TestScannerSaysThatThereIsNoProcfs(t *testing.T) {
	s := newScanner("/nonexistent")
	if _, err := s.scan(time.Unix(1000, 0)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("scan() = %v; want fs.ErrNotExist", err)
	}
}
