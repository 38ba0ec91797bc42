package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"
)

// familiarCommand is a command that stands in for a program that people and
// scripts know. It has that program's syntax and exit codes, so it parses its
// own arguments. A link with its name to this binary is that command.
type familiarCommand struct {
	name string
	help string
	run  func(args []string, stdout, stderr io.Writer) error // an exitStatus sets the exit code
}

// familiarCommands returns the table of them.
func familiarCommands() []familiarCommand {
	return []familiarCommand{
		{"paping", "Time TCP connections to a port, with the options, output and exit codes of paping 1.5.5. See: podnet_exporter paping --help", runPaping},
		{"mtr", "Show the path to a host, hop by hop, with the options, output and exit codes of mtr 0.95. See: podnet_exporter mtr --help", runMtr},
	}
}

// familiar returns the command that argv, the program's name and its
// arguments, asks for, and the arguments that are the command's own. It is nil
// if that is none of these.
func familiar(argv []string) (*familiarCommand, []string) {
	if len(argv) == 0 {
		return nil, nil
	}
	for _, c := range familiarCommands() {
		switch {
		case filepath.Base(argv[0]) == c.name:
			return &c, argv[1:]
		case len(argv) > 1 && argv[1] == c.name:
			return &c, argv[2:]
		}
	}
	return nil, nil
}

// addToHelp lists the command in the help. It runs only as the first word.
func (c familiarCommand) addToHelp(app *kingpin.Application) command {
	cmd := app.Command(c.name, c.help)
	cmd.Arg("argument", "Its own options and destination.").Strings()
	return command{cmd.FullCommand(), func(context.Context, *slog.Logger) error {
		return usageError{fmt.Errorf("%s must be the first word, as in: podnet_exporter %s --help", c.name, c.name)}
	}}
}

// exitStatus is the exit code of a command that has said already what it had
// to say.
type exitStatus int

// Error implements error.
func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }
