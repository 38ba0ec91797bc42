package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
)

// residentFile returns how much of the files that it maps the process has in
// memory, in kB.
//
// Source: proc_pid_status(5), RssFile.
func residentFile(t *testing.T) int {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "RssFile:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatal("no RssFile in /proc/self/status")
	return 0
}

func TestUnmapProgramGivesPagesBack(t *testing.T) {
	before := residentFile(t)
	if err := unmapProgram(); err != nil {
		t.Fatal(err)
	}
	after := residentFile(t)
	if after > before*3/4 { // what writes to addresses stays, in a program that can be loaded anywhere
		t.Errorf("%d kB of files are in memory, and were %d before; want far less", after, before)
	}
}
