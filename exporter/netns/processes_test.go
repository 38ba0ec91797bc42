package netns

import (
	"encoding/binary"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestListProcessesOfTheRealProc(t *testing.T) {
	list, err := listProcesses(procRoot, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(list, func(l listed) bool { return l.pid == os.Getpid() })
	if at < 0 {
		t.Fatalf("this process (%d) is not among %v", os.Getpid(), list)
	}
	var stat unix.Stat_t
	if err := unix.Stat(procRoot+"/"+strconv.Itoa(os.Getpid()), &stat); err != nil {
		t.Fatal(err)
	}
	if list[at].inode != stat.Ino {
		t.Errorf("inode number of this process = %d; stat says %d", list[at].inode, stat.Ino)
	}
}

func TestListProcessesLeavesOutEverythingElse(t *testing.T) {
	proc := newFakeProc(t)
	proc.start(1, 1, 1, outside)
	proc.start(4194303, 1, 1, outside)
	proc.write("17b/cgroup", outside)
	proc.write("017/cgroup", outside)
	list, err := listProcesses(proc.root, nil)
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, l := range list {
		pids = append(pids, l.pid)
	}
	slices.Sort(pids)
	if diff := cmp.Diff([]int{1, 4194303}, pids); diff != "" {
		t.Errorf("processes differ (-want +got):\n%s", diff)
	}
}

// entry is a struct linux_dirent64.
func entry(inode uint64, name string) []byte {
	b := binary.NativeEndian.AppendUint64(nil, inode)
	b = binary.NativeEndian.AppendUint64(b, 0)
	length := (entryNameAt + len(name) + 1 + 7) / 8 * 8
	b = binary.NativeEndian.AppendUint16(b, uint16(length))
	b = append(b, unix.DT_DIR)
	b = append(b, name...)
	return append(b, make([]byte, length-len(b))...)
}

func FuzzParseEntries(f *testing.F) {
	f.Add(slices.Concat(entry(1, "."), entry(539, "1"), entry(540, "4194303"), entry(2, "self")))
	f.Add(entry(1, "1")[:20])
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		list := parseEntries(b, nil)
		if len(list) > len(b)/(entryNameAt+1) {
			t.Errorf("%d processes in %d bytes", len(list), len(b))
		}
		for _, l := range list {
			if l.pid <= 0 || l.pid > 9999999999 {
				t.Errorf("PID %d", l.pid)
			}
		}
	})
}

func TestParseStarted(t *testing.T) {
	tests := []struct {
		name, stat string
		want       uint64
		ok         bool
	}{
		{"a name with blanks and brackets", stat(2871), 2871, true},
		{"a process that just ended", "", 0, false},
		{"a line that was cut", "7 (cat) S 1 7 7 0", 0, false},
		{"no number", "7 (cat) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStarted(tt.stat)
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("parseStarted() = %d, %v; want %d, ok: %v", got, err, tt.want, tt.ok)
			}
		})
	}
}

func FuzzParseStarted(f *testing.F) {
	f.Add(stat(2871))
	f.Add("7 (cat) S 1 7 7 0")
	f.Add(")")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := parseStarted(text); err != nil && got != 0 {
			t.Errorf("parseStarted(%q) = %d, %v", text, got, err)
		}
	})
}

func TestParseNamespaceLink(t *testing.T) {
	tests := []struct {
		link string
		want uint64 // 0: refused
	}{
		{"net:[4026531840]", 4026531840},
		{"mnt:[4026531840]", 0},
		{"net:[4026531840", 0},
		{"net:[]", 0},
		{"", 0},
		{"/run/netns/web", 0},
	}
	for _, tt := range tests {
		t.Run(tt.link, func(t *testing.T) {
			got, err := parseNamespaceLink(tt.link)
			if got != tt.want || (err == nil) != (tt.want != 0) {
				t.Errorf("parseNamespaceLink() = %d, %v; want %d", got, err, tt.want)
			}
		})
	}
}
