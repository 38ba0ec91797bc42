package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/alecthomas/kingpin/v2"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// faultCommands adds the commands that break and mend a running lab.
func faultCommands(app *kingpin.Application, l *Lab, commands map[string]func(context.Context) error) {
	fault := app.Command("fault", "Break the running lab, and mend it.")

	list := fault.Command("list", "Print every fault that the lab knows.")
	commands[list.FullCommand()] = func(context.Context) error { return l.listFaults(l.Out) }

	inject := fault.Command("inject", "Break the lab. Several faults can be there at a time.")
	id := inject.Arg("id", "Name of the fault, from `fault list`.").Required().String()
	node := inject.Flag("node", "Node to break; default: the fault's own.").String()
	commands[inject.FullCommand()] = func(ctx context.Context) error {
		if err := l.injectFault(ctx, *id, *node); err != nil {
			return err
		}
		after := "undo it with `lab fault clear`"
		if f, err := faultByID(*id); err == nil && f.Passes {
			after = "it is over"
		}
		_, err := fmt.Fprintf(l.Out, "injected %s; %s\n", *id, after)
		return err
	}

	clearAll := fault.Command("clear", "Undo every injected fault.")
	commands[clearAll.FullCommand()] = func(ctx context.Context) error {
		all, err := l.injectedFaults()
		if err != nil {
			return err
		}
		if err := l.clearFaults(ctx); err != nil {
			return err
		}
		_, err = fmt.Fprintf(l.Out, "cleared %d faults\n", len(all))
		return err
	}
}

// listFaults prints the table of faults, and which of them are injected now.
func (l *Lab) listFaults(out io.Writer) error {
	injected, err := l.injectedFaults()
	if err != nil {
		return err
	}
	now := map[string]string{}
	for _, i := range injected {
		now[i.ID] += " on " + i.Node
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNODE\tMUST SAY\tWHAT IS BROKEN\tINJECTED")
	for _, f := range faults() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.ID, f.DefaultNode, f.mustSay(), f.Title, now[f.ID])
	}
	return w.Flush()
}

// mustSay returns what must be said about a fault in few words.
func (f Fault) mustSay() string {
	switch {
	case f.Severity == paging.SeverityPage:
		return fmt.Sprintf("page: %s, %s", f.Symptom, f.Cause)
	case f.Cause != "":
		return fmt.Sprintf("no page: %s, %s", f.Symptom, f.Cause)
	}
	return "no page"
}
