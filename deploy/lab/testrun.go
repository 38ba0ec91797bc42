package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// errTestsFailed is wrapped when rows of a test have failed. The table has
// said so already.
var errTestsFailed = errors.New("tests failed")

// testRun injects faults one after the other and checks what is said about
// them.
type testRun struct {
	paging.Runner
	lab  *Lab
	node string // to break, "" for each fault's default
}

// testCommands adds the command that tries every fault.
func testCommands(app *kingpin.Application, l *Lab, commands map[string]func(context.Context) error) {
	test := app.Command("test", "Inject faults one after the other, and check that the right page comes, alone, and goes. "+
		"Makes a lab if none is up, and then removes it. Exit code 1 if anything failed.")
	ids := test.Arg("id", "Faults to try, from `fault list`; default: all.").Strings()
	node := test.Flag("node", "Node to break; default: each fault's own.").String()
	keep := test.Flag("keep", "Keep the lab that was made for the test.").Bool()
	production := test.Flag("production", productionHelp+" A fault takes some minutes, and pages within 60 s.").Bool()
	output := test.Flag("output", "How results are printed.").Default("table").Enum("table", "json")
	artifacts := test.Flag("artifacts", "Folder for alerts and verdicts of failed rows; default: artifacts/ in the state directory.").String()
	commands[test.FullCommand()] = func(ctx context.Context) error {
		if _, gone := l.proc("prometheus"); gone != nil {
			l.Production = *production
		} else if *production && !l.Production {
			return errors.New("the lab that is up is not as in production: remove it first, by lab down")
		}
		run := testRun{lab: l, node: *node, Runner: paging.Runner{
			Monitor: l.monitor(), Quiet: l.quiet, Artifacts: *artifacts, Progress: io.Discard,
		}}
		if run.Artifacts == "" {
			run.Artifacts = l.path("artifacts")
		}
		if paging.IsTerminal(os.Stderr) {
			run.Progress = os.Stderr
		}
		if *output == "json" {
			l.Out = os.Stderr
			return run.command(ctx, *ids, *keep, func(rs []paging.Result) error { return paging.WriteJSON(os.Stdout, rs) })
		}
		return run.command(ctx, *ids, *keep, func(rs []paging.Result) error { return paging.WriteTable(os.Stdout, rs) })
	}
}

// command runs the rows in a lab and prints their results, also those that
// were there before an error. A lab that it made it removes.
func (t testRun) command(ctx context.Context, ids []string, keep bool, print func([]paging.Result) error) (err error) {
	rows, err := t.rows(ids)
	if err != nil {
		return err
	}
	if _, gone := t.lab.proc("prometheus"); gone != nil {
		if !keep {
			defer func() { _, e := t.lab.remove(); err = errors.Join(err, e) }()
		}
		if err := t.lab.up(ctx); err != nil {
			return err
		}
	}
	results, err := t.all(ctx, rows)
	fmt.Fprint(t.Progress, "\r\x1b[K")
	if err := errors.Join(err, print(results)); err != nil {
		return err
	}
	for _, r := range results {
		if !r.Pass {
			return errTestsFailed
		}
	}
	return nil
}

// row is one fault to try on one node.
type row struct {
	fault Fault
	node  NodePlan
}

// rows returns the rows asked for, every fault that applies if none is.
func (t testRun) rows(ids []string) ([]row, error) {
	if len(ids) == 0 {
		for _, f := range faults() {
			if t.lab.applies(f) == nil {
				ids = append(ids, f.ID)
			}
		}
	}
	var rows []row
	for _, id := range ids {
		f, err := faultByID(id)
		if err != nil {
			return nil, err
		}
		n, err := t.lab.nodeFor(f, t.node)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{f, n})
	}
	return rows, nil
}

// all runs the rows in order. The error is ctx's, or that the lab could not be
// mended, which makes further rows pointless.
func (t testRun) all(ctx context.Context, rows []row) ([]paging.Result, error) {
	if err := t.lab.clearFaults(ctx); err != nil {
		return nil, err
	}
	var results []paging.Result
	for i, r := range rows {
		title := fmt.Sprintf("[%d/%d] %s on %s", i+1, len(rows), r.fault.ID, r.node.Name)
		res, err := t.Run(ctx, t.trial(r), title)
		if ctx.Err() != nil {
			return results, fmt.Errorf("interrupted during %s", r.fault.ID)
		}
		results = append(results, res)
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

// trial returns what is done and expected in a row.
func (t testRun) trial(r row) paging.Trial {
	return paging.Trial{
		ID:      r.fault.ID,
		Want:    paging.Expectation{Cause: r.fault.Cause, Node: r.fault.suspect(t.lab.Plan, r.node), Severity: r.fault.Severity},
		MustSee: strings.ReplaceAll(r.fault.MustSee, "NODE", r.node.Name),
		Inject:  func(ctx context.Context) error { return t.lab.injectFault(ctx, r.fault.ID, r.node.Name) },
		Clear:   t.lab.clearFaults,
	}
}
