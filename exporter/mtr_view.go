package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// newMtrView returns the view of a run's mode.
func newMtrView(run *mtrRun, out *bufio.Writer, engine mtrEngine) (mtrView, error) {
	switch run.options.Mode {
	case mtrJSON:
		return &mtrTable{run: run, out: out, write: writeMtrJSON}, nil
	case mtrCSV:
		return &mtrTable{run: run, out: out, write: writeMtrCSV}, nil
	case mtrXML:
		return &mtrTable{run: run, out: out, write: writeMtrXML}, nil
	case mtrRaw:
		return newMtrRawView(run, out), nil
	case mtrSplit:
		return &mtrSplitView{run: run, out: out, typed: readKeys(os.Stdin, engine.Wake)}, nil
	case mtrLive:
		return openMtrLive(run, out, engine)
	}
	fmt.Fprintf(out, "Start: %s\n", isoTime(run.started))
	return &mtrTable{run: run, out: out, write: writeMtrReport}, out.Flush()
}

// mtrTable is a view that shows all when it is over.
type mtrTable struct {
	run   *mtrRun
	out   io.Writer
	write func(w io.Writer, run *mtrRun)
}

func (*mtrTable) sent(probers.Probe)               {}
func (*mtrTable) answered(probers.Result)          {}
func (*mtrTable) redraw(func() probers.PathReport) {}
func (*mtrTable) keys() <-chan byte                { return nil }
func (t *mtrTable) end()                           { t.write(t.out, t.run) }

// readKeys returns what is typed, and tells wake. It is closed at the end of
// the input. Its goroutine lives as long as the input.
func readKeys(in io.Reader, wake func()) <-chan byte {
	keys := make(chan byte, 16)
	go func() {
		defer wake()
		defer close(keys)
		b := make([]byte, 1)
		for {
			if n, err := in.Read(b); n == 0 || err != nil {
				return
			}
			keys <- b[0]
			wake()
		}
	}()
	return keys
}
