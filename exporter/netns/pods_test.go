package netns

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// newPodTable returns a table that finds pods in a made-up procfs.
func newPodTable(t *testing.T) (*Table, *fakeProc, *clock, *bytes.Buffer) {
	t.Helper()
	table, clock, log := newTable(t)
	proc := newFakeProc(t)
	table.byUID = newPodFinder(proc.root)
	table.own = inode(t, self)
	return table, proc, clock, log
}

var (
	podA = discovery.Pod{Namespace: "shop", Name: "web-1", UID: uidA}
	podB = discovery.Pod{Namespace: "shop", Name: "web-2", UID: uidB}
)

func unknown(t *testing.T, table *Table) int {
	t.Helper()
	n, err := table.Unknown()
	if err != nil {
		t.Error(err)
	}
	return n
}

func TestTableListsPodsByTheirUID(t *testing.T) {
	table, proc, _, log := newPodTable(t)
	proc.start(300, 500, 11, inside(uidA))
	proc.start(301, 501, 12, inside("cccccccc-0000-4000-8000-000000000003"))
	proc.start(302, 502, table.own, inside("dddddddd-0000-4000-8000-000000000004"))
	proc.start(303, 503, table.own, inside("eeeeeeee-0000-4000-8000-000000000005"))

	table.Set([]discovery.Pod{podA, podB,
		{Namespace: "kube-system", Name: "kube-proxy", UID: "dddddddd-0000-4000-8000-000000000004"}, // hostNetwork
	})

	list := table.List()
	if diff := cmp.Diff([]string{"node", "shop/web-1"}, names(list)); diff != "" {
		t.Fatalf("List() differs (-want +got):\n%s", diff)
	}
	if want := proc.dir(300) + "/ns/net"; list[1].Path != want || list[1].Inode != 11 {
		t.Errorf("List() has %s, namespace %d; want %s, namespace 11", list[1].Path, list[1].Inode, want)
	}
	if n := unknown(t, table); n != 1 {
		t.Errorf("Unknown() = %d; want the pod that nobody told of, and not those in the node's namespace", n)
	}
	if log.Len() > 0 {
		t.Errorf("a pod without a process was logged, which every pod is at first:\n%s", log)
	}
}

func TestTableNamesAPodAsSoonAsItIsTold(t *testing.T) {
	table, proc, _, _ := newPodTable(t)
	proc.start(300, 500, 11, inside(uidA))
	proc.start(301, 501, 12, inside(uidB))
	table.Set([]discovery.Pod{podA})
	if got, n := names(table.List()), unknown(t, table); len(got) != 2 || n != 1 {
		t.Errorf("List() = %v, Unknown() = %d; want the node and one pod, and one unknown", got, n)
	}
	table.Set([]discovery.Pod{podA, podB})
	if got, n := names(table.List()), unknown(t, table); len(got) != 3 || n != 0 {
		t.Errorf("List() = %v, Unknown() = %d; want the node and both pods", got, n)
	}
}

func TestTableDoesNotScanForPodsThatHaveAPath(t *testing.T) {
	table, proc, _, _ := newPodTable(t)
	proc.start(300, 500, 11, inside(uidA))
	table.Set([]discovery.Pod{{Namespace: "shop", Name: "web-2", UID: uidB, Netns: "/run/netns/none"}})
	table.List()
	if n := unknown(t, table); n != 0 || table.byUID.processes.round != 0 {
		t.Errorf("Unknown() = %d after %d scans; want none", n, table.byUID.processes.round)
	}
}

func TestTableScansWhenAProcessIsToBeExpected(t *testing.T) {
	table, _, clock, _ := newPodTable(t)
	begin := clock.now
	var scans []int
	pass := func(n int, do func()) {
		for range n {
			do()
			table.List()
			if f := table.byUID; f.scanned.Equal(clock.now) {
				scans = append(scans, int(clock.now.Sub(begin)/time.Second))
			}
			clock.now = clock.now.Add(time.Second)
		}
	}
	table.Set([]discovery.Pod{podA})
	pass(21, func() { table.Set([]discovery.Pod{podA}) }) // the same again is no reason
	pass(3, func() { table.Path(podA) })

	want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 19, 22, 23}
	if diff := cmp.Diff(want, scans); diff != "" {
		t.Errorf("seconds of scans differ (-want +got):\n%s", diff)
	}
}

func TestTablePathFollowsThePod(t *testing.T) {
	table, proc, clock, _ := newPodTable(t)
	table.Set([]discovery.Pod{podA, podB})
	want := func(what, path string) {
		t.Helper()
		clock.now = clock.now.Add(time.Minute)
		for range 2 { // a pod that is missed is looked for a second later
			table.Path(podA)
			clock.now = clock.now.Add(time.Second)
		}
		if got := table.Path(podA); got != path {
			t.Errorf("Path() when %s = %q; want %q", what, got, path)
		}
	}
	want("it has no process", "")
	proc.start(300, 500, 11, inside(uidA))
	proc.start(301, 501, 11, inside(uidA))
	want("it has a sandbox", proc.dir(300)+"/ns/net")
	proc.end(300)
	want("the sandbox ended", proc.dir(301)+"/ns/net")
	proc.end(301)
	proc.start(302, 900, 12, inside(uidA))
	want("there is another sandbox", proc.dir(302)+"/ns/net")
	proc.move(302, table.own, inside(uidA))
	want("it is in the node's namespace", "")

	if got := table.Path(discovery.Pod{Netns: "/run/netns/a", UID: uidA}); got != "/run/netns/a" {
		t.Errorf("Path() of a pod that has one = %q; want that", got)
	}
	if got := table.Path(discovery.Pod{Namespace: "podnet", Name: "nobody"}); got != "" {
		t.Errorf("Path() of a pod that nothing is known of = %q; want none", got)
	}
}

func TestTableSeesWithinASecondThatAProcessEnded(t *testing.T) {
	table, proc, clock, _ := newPodTable(t)
	proc.start(300, 500, 11, inside(uidA))
	proc.start(301, 501, 11, inside(uidA))
	table.Set([]discovery.Pod{podA})
	for range 20 {
		clock.now = clock.now.Add(time.Second)
		table.List()
	}
	proc.end(300)
	clock.now = clock.now.Add(time.Second)
	if list := table.List(); len(list) != 2 || list[1].Path != proc.dir(301)+"/ns/net" {
		t.Errorf("List() = %v; want the pod by its other process", list)
	}
	proc.end(301)
	clock.now = clock.now.Add(time.Second)
	if got := names(table.List()); len(got) != 1 {
		t.Errorf("List() = %v; want the node alone", got)
	}
}

func TestTableSaysWhyItFindsNoPods(t *testing.T) {
	table, _, _, _ := newPodTable(t)
	table.byUID = newPodFinder("/nonexistent")
	table.Set([]discovery.Pod{podA})
	if n, err := table.Unknown(); n != 0 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Unknown() = %d, %v; want fs.ErrNotExist", n, err)
	}
	if got := names(table.List()); len(got) != 1 {
		t.Errorf("List() = %v; want the node", got)
	}
}
