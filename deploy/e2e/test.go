package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// errTestsFailed is wrapped when checks have failed. The table has said so
// already.
var errTestsFailed = errors.New("tests failed")

// coveredWithin is how long every node may take until it has probed every other
// in every address family, after podnet_exporter was installed.
const coveredWithin = 60 * time.Second

// testCommands adds the command that tries everything.
func testCommands(app *kingpin.Application, c *Cluster, commands map[string]func(context.Context) error) {
	test := app.Command("test", "Check that podnet_exporter covers the cluster, break it in one way after the other, and check that the right page comes, "+
		"alone, and goes. Makes a cluster if none is up, and then removes it. Exit code 1 if anything failed.")
	output := test.Flag("output", "How results are printed.").Default("table").Enum("table", "json")
	keep := test.Flag("keep", "Keep the cluster that was made for the test.").Bool()
	test.Flag("artifacts", "Folder for alerts and verdicts of failed checks; default: artifacts/ in the state directory, which goes with the cluster.").
		StringVar(&c.Artifacts)
	ids := test.Arg("id", "Checks to try; default: all.").Strings()
	commands[test.FullCommand()] = func(ctx context.Context) error {
		print := func(rs []paging.Result) error { return paging.WriteTable(os.Stdout, rs) }
		if *output == "json" {
			c.Out = os.Stderr
			print = func(rs []paging.Result) error { return paging.WriteJSON(os.Stdout, rs) }
		}
		return c.test(ctx, *ids, *keep, print)
	}
}

// test runs checks in a cluster and prints their results, also those that were
// there before an error. A cluster that it made it removes.
func (c *Cluster) test(ctx context.Context, ids []string, keep bool, print func([]paging.Result) error) (err error) {
	if c.Plan.Production {
		return errors.New("a cluster as in production takes a minute to page, and the checks wait seconds")
	}
	looks := slices.DeleteFunc(c.looks(), func(l look) bool { return len(ids) > 0 && !slices.Contains(ids, l.id) })
	others := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return slices.ContainsFunc(looks, func(l look) bool { return l.id == id })
	})
	var rows []check
	if len(ids) == 0 || len(others) > 0 {
		if rows, err = checksOf(others); err != nil {
			return err
		}
	}
	if _, gone := c.proc("kube-apiserver"); gone != nil {
		if !keep {
			defer func() { _, e := c.remove(); err = errors.Join(err, e) }()
		}
		if err := c.up(ctx, false); err != nil {
			return err
		}
	}
	if err := c.covered(ctx); err != nil {
		return err
	}
	var results []paging.Result
	for _, l := range looks {
		results = append(results, l.run(ctx))
	}
	more, err := c.tryAll(ctx, rows)
	results = append(results, more...)
	if err := errors.Join(err, print(results)); err != nil {
		return err
	}
	if slices.ContainsFunc(results, func(r paging.Result) bool { return !r.Pass }) {
		return errTestsFailed
	}
	return nil
}

// look is a check of what the agents say, that nobody is paged for.
type look struct {
	id  string
	run func(context.Context) paging.Result
}

func (c *Cluster) looks() []look {
	return []look{{seriesCheck, c.checkSeries}, {permissionsCheck, c.checkPermissions}, {commandsCheck, c.checkCommands}}
}

// covered waits until every node says of every other that its network is fine.
func (c *Cluster) covered(ctx context.Context) error {
	start := time.Now()
	if err := paging.Poll(ctx, coveredWithin, c.quiet); err != nil {
		return fmt.Errorf("not every node is covered: %w", err)
	}
	fmt.Fprintf(c.Out, "every node says of every node that its network is fine, after %.1f s\n", time.Since(start).Seconds())
	return nil
}

// tryAll runs checks in order. The error is ctx's, or that the cluster could
// not be mended, which makes further checks pointless.
func (c *Cluster) tryAll(ctx context.Context, rows []check) ([]paging.Result, error) {
	runner := paging.Runner{Monitor: c.monitor(), Quiet: c.quiet, Artifacts: cmp.Or(c.Artifacts, c.path("artifacts")), Progress: io.Discard}
	if paging.IsTerminal(os.Stderr) {
		runner.Progress = os.Stderr
	}
	var results []paging.Result
	for i, k := range rows {
		trial, err := c.trial(k)
		if err != nil {
			return results, err
		}
		res, err := runner.Run(ctx, trial, fmt.Sprintf("[%d/%d] %s on %s", i+1, len(rows), k.id, k.node))
		if ctx.Err() != nil {
			return results, fmt.Errorf("interrupted during %s", k.id)
		}
		results = append(results, res)
		if err != nil {
			return results, err
		}
	}
	fmt.Fprint(runner.Progress, "\r\x1b[K")
	return results, nil
}
