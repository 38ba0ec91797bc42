package main

import (
	"debug/elf"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

const (
	// gcPercent is how much garbage may come on top of what lives before it is
	// collected, in percent. Agent and endpoint are on every node, so memory is
	// dearer than the little time that this costs.
	gcPercent = 40

	// startUp is after how long everything was done that is done once: packages
	// are initialised, and the first lists were read.
	startUp = 15 * time.Second
)

// beFrugal makes the runtime take little of the node that everybody shares. Go
// code runs on one thread at a time: all of it together is about a hundredth of
// a core, and to wake up a second thread for a part of it costs more than the
// part. The environment's GOGC and GOMAXPROCS go before it.
func beFrugal() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	time.AfterFunc(startUp, func() {
		debug.FreeOSMemory()
		_ = unmapProgram() // it saves memory, and nothing depends on it
	})
}

// unmapProgram gives back the pages of the program file that the process has
// touched so far. Most of them were needed once, to start. They stay in the
// kernel's page cache as long as there is room for them, and those that are
// needed again come back from there.
//
// Source: madvise(2), MADV_DONTNEED of a private mapping of a file.
func unmapProgram() error {
	const path = "/proc/self/exe"
	exe, err := os.Readlink(path)
	if err != nil {
		return fmt.Errorf("program file: %w", err)
	}
	file, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("program file: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	self, err := procfs.Self()
	if err != nil {
		return err
	}
	maps, err := self.ProcMaps()
	if err != nil {
		return err
	}
	for _, m := range maps {
		// What was written to is no page of the file any more. In a program that
		// can be loaded anywhere (ET_DYN) that goes for constants too: they hold
		// addresses, which were filled in before the pages became read-only.
		constant := m.Perms.Execute || file.Type == elf.ET_EXEC
		if strings.TrimSpace(m.Pathname) != exe || m.Perms.Write || !constant {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.StartAddr, m.EndAddr-m.StartAddr, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("madvise: %w", errno)
		}
	}
	return nil
}
