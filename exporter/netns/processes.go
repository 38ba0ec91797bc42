package netns

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// procRoot is where the kernel tells of processes. In a container that shares
// the node's process namespace (hostPID), of all that the node has.
const procRoot = "/proc"

// listed is an entry of /proc: a process, and the inode number of its folder,
// which no other process has had or will have.
type listed struct {
	pid   int
	inode uint64
}

// listProcesses returns the processes of a procfs. The inode numbers come with
// the names (getdents64(2)), so that one that is known already costs nothing.
func listProcesses(root string, into []listed) ([]listed, error) {
	dir, err := os.Open(root)
	if err != nil {
		return nil, fmt.Errorf("processes: %w", err)
	}
	defer dir.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := unix.Getdents(int(dir.Fd()), buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("processes: %s: %w", root, err)
		}
		if n == 0 {
			return into, nil
		}
		into = parseEntries(buffer[:n], into)
	}
}

// Offsets in a struct linux_dirent64.
const (
	entryLengthAt = 16
	entryNameAt   = 19
)

// parseEntries reads what getdents64(2) returned, and appends the processes.
func parseEntries(b []byte, into []listed) []listed {
	for len(b) > entryNameAt {
		length := int(binary.NativeEndian.Uint16(b[entryLengthAt:]))
		if length <= entryNameAt || length > len(b) {
			return into
		}
		name, _, _ := bytes.Cut(b[entryNameAt:length], []byte{0})
		if pid, ok := parsePID(name); ok {
			into = append(into, listed{pid: pid, inode: binary.NativeEndian.Uint64(b)})
		}
		b = b[length:]
	}
	return into
}

// parsePID returns the process ID that a folder of /proc is named after.
func parsePID(name []byte) (int, bool) {
	if len(name) == 0 || len(name) > 10 || name[0] == '0' {
		return 0, false
	}
	pid := 0
	for _, c := range name {
		if c < '0' || c > '9' {
			return 0, false
		}
		pid = pid*10 + int(c-'0')
	}
	return pid, true
}

// parseStarted returns when a process started, in clock ticks since boot: field
// 22 of /proc/PID/stat (proc_pid_stat(5)). The second field may have blanks
// and brackets in it.
func parseStarted(stat string) (uint64, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const at = 22 - 3 // the first one here is the third
	if len(fields) <= at {
		return 0, fmt.Errorf("stat of a process: %d fields are too few", len(fields)+2)
	}
	started, err := strconv.ParseUint(fields[at], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("stat of a process: start time: %w", err)
	}
	return started, nil
}

// parseNamespaceLink returns the inode number in what /proc/PID/ns/net points
// to, "net:[4026531840]" (namespaces(7)).
func parseNamespaceLink(link string) (uint64, error) {
	number, isNet := strings.CutPrefix(link, "net:[")
	number, isWhole := strings.CutSuffix(number, "]")
	inode, err := strconv.ParseUint(number, 10, 64)
	if !isNet || !isWhole || err != nil {
		return 0, fmt.Errorf("network namespace of a process: not a link to one: %q", link)
	}
	return inode, nil
}
