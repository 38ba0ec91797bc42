// Podnet_exporter finds out why pods cannot reach each other.
//
// Exit codes: 0 when a command did what it was asked, or was ended by SIGINT
// or SIGTERM; 1 when something failed, or a checked file has mistakes; 2 when
// the command line is wrong. A second SIGINT or SIGTERM ends the program at
// once, with the signal's own code.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
	toolkitweb "github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"
)

// The exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	// A goroutine that enters another network namespace takes its thread with
	// it. That must never be the main thread, which is what /proc/self shows.
	runtime.LockOSThread()
	var err error
	if c, args := familiar(os.Args); c != nil {
		err = c.run(args, os.Stdout, os.Stderr)
	} else {
		err = run(os.Args[1:], os.Stdout, os.Stderr)
	}
	if status := exitStatus(0); err != nil && !errors.As(err, &status) {
		fmt.Fprintf(os.Stderr, "podnet_exporter: %v\n", err)
	}
	os.Exit(exitCode(err))
}

// exitCode returns the code for what run returned.
func exitCode(err error) int {
	var (
		usage  usageError
		status exitStatus
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitFailed
}

// usageError is a mistake on the command line.
type usageError struct{ error }

// agentOptions is what the command line tells the agent.
type agentOptions struct {
	ConfigFile string
	Web        *toolkitweb.FlagConfig
	Log        *slog.Logger
	Reload     <-chan struct{} // a value for each SIGHUP; those that come too fast are one
}

// command is a word of the command line and what it does.
type command struct {
	name string
	run  func(ctx context.Context, log *slog.Logger) error
}

// run parses the command line and does what it says.
func run(args []string, stdout, stderr io.Writer) error {
	setVersion()
	app := kingpin.New("podnet_exporter", "Finds out why pods cannot reach each other: probes the mesh, watches the kernel, names the cause.")
	app.UsageWriter(stdout)
	app.UsageTemplate(kingpin.DefaultUsageTemplate + `{{if .Context.SelectedCommand}}{{.Context.SelectedCommand.HelpLong}}{{end}}`)
	app.ErrorWriter(stderr)
	app.HelpFlag.Short('h')
	app.Version(version.Print("podnet_exporter"))
	app.VersionFlag.Short('V')
	logging := addLogFlags(app)
	commands := []command{
		agentCommand(app),
		respondCommand(app),
		probeCommand(app, stdout, stderr),
		checkConfigCommand(app, stdout),
		metricsDocCommand(app, stdout),
		simulateCommand(app, stdout),
	}
	for _, c := range familiarCommands() {
		commands = append(commands, c.addToHelp(app))
	}

	name, err := app.Parse(args)
	if err != nil {
		return usageError{fmt.Errorf("%w; try --help", err)}
	}
	ctx, cancel := untilSignal()
	defer cancel()
	for _, c := range commands {
		if c.name == name {
			return c.run(ctx, logging.logger(stderr))
		}
	}
	return usageError{fmt.Errorf("no command %q", name)}
}

// agentCommand is "run", the default: probe, collect and serve metrics.
func agentCommand(app *kingpin.Application) command {
	cmd := app.Command("run", "Run the agent of this node.").Default()
	file := cmd.Flag("config.file", "The agent's configuration. Read again on SIGHUP and POST /-/reload.").
		Default("podnet_exporter.yaml").String()
	web := kingpinflag.AddFlags(cmd, ":9797")
	return command{cmd.FullCommand(), func(ctx context.Context, log *slog.Logger) error {
		return runAgent(ctx, agentOptions{ConfigFile: *file, Web: web, Log: log, Reload: onHangup(ctx)})
	}}
}

// untilSignal returns a context that ends with the first SIGINT or SIGTERM.
// From then on they have their usual effect, so that a second one ends a
// program that hangs.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// onHangup returns a channel that gets a value for each SIGHUP until ctx ends.
func onHangup(ctx context.Context) <-chan struct{} {
	signals, reload := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				select {
				case reload <- struct{}{}:
				default: // one is waiting already
				}
			}
		}
	}()
	return reload
}

// setVersion takes the version from what Go knows of the build, if the build
// did not set it.
func setVersion() {
	if version.Version != "" {
		return
	}
	version.Version = "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version.Version = info.Main.Version
	}
}
