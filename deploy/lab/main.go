package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kingpin/v2"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/sources"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, errTestsFailed) {
			fmt.Fprintln(os.Stderr, "lab:", err)
		}
		os.Exit(1)
	}
}

// run parses the command line and runs one command.
func run(ctx context.Context, args []string) error {
	app := kingpin.New("lab", "A cluster of network namespaces on one machine, to break and to watch.")
	app.HelpFlag.Short('h')
	l := &Lab{Out: os.Stdout}
	app.Flag("state-dir", "Folder of the running lab's files.").Default(defaultStateDir).StringVar(&l.StateDir)
	app.Flag("prefix", "What the names of the lab's namespaces begin with; a second lab needs another one, and another state directory.").
		Default(defaultPrefix).StringVar(&l.prefix)
	app.Flag("repo", "Folder of the podnet_exporter sources; default: found from the working directory.").StringVar(&l.Repo)
	commands := map[string]func(context.Context) error{}
	labCommands(app, l, commands)
	faultCommands(app, l, commands)
	impairCommand(app, l, commands)
	loadCommand(app, commands)
	testCommands(app, l, commands)

	name, err := app.Parse(args)
	if err != nil {
		return err
	}
	if err := l.settle(); err != nil {
		return err
	}
	return commands[name](ctx)
}

// labCommands adds the commands that make, show and remove the lab.
func labCommands(app *kingpin.Application, l *Lab, commands map[string]func(context.Context) error) {
	up := app.Command("up", "Make the lab anew; what is left of an earlier one is removed first.")
	cni := up.Flag("cni", "How pods of different nodes reach each other.").Default(cniVXLAN).Enum(cniVXLAN, cniRouted)
	production := up.Flag("production", productionHelp).Bool()
	up.Flag("no-agents", "Start neither agents nor endpoints: only the network and its monitoring.").BoolVar(&l.NoAgents)
	up.Flag("no-dns", "Do not start the cluster's DNS servers.").BoolVar(&l.NoDNS)
	commands[up.FullCommand()] = func(ctx context.Context) error {
		l.Plan, l.Production = newPlan(*cni, l.prefix), *production
		if err := l.up(ctx); err != nil {
			return err
		}
		l.printWhereToLook()
		return nil
	}
	down := app.Command("down", "Remove the lab and everything that belongs to it.")
	commands[down.FullCommand()] = func(context.Context) error { return l.down() }
	status := app.Command("status", "Print nodes, processes, targets and alerts.")
	commands[status.FullCommand()] = l.status
	demo := app.Command("demo", "Make the lab, break it, show the page, repair it, and remove the lab.")
	keep := demo.Flag("keep", "Leave the repaired lab running.").Bool()
	commands[demo.FullCommand()] = func(ctx context.Context) error {
		l.Plan, l.Production = newPlan(cniVXLAN, l.prefix), false
		l.NoDNS = true // not needed, and long to build
		return l.demo(ctx, *keep)
	}
}

const productionHelp = "Agents at default settings, scrapes every 15 s, and the rules as they are shipped, not with the windows of a lab."

// settle completes the Lab after the flags are known: paths are made absolute,
// and the plan is that of the lab that runs.
func (l *Lab) settle() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root: it makes network namespaces")
	}
	var err error
	if l.StateDir, err = filepath.Abs(l.StateDir); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if l.prefix == "" {
		return fmt.Errorf("--prefix: must not be empty, or every namespace would be the lab's")
	}
	if l.Repo, err = sources.At(l.Repo); err != nil {
		return err
	}
	l.Plan = newPlan(cniVXLAN, l.prefix)
	if s, err := l.readState(); err == nil {
		l.Plan, l.Production = newPlan(s.CNI, s.Prefix), s.Production
	}
	return nil
}
