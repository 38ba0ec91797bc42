package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// gcPercent is how much garbage may come on top of what lives before it is
// collected, in percent. Agent and endpoint are on every node, so memory is
// dearer than the little time that this costs.
const gcPercent = 40

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
}
