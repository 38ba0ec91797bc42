package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// options is what is measured.
type options struct {
	Nodes      int
	Churn      float64       // part of the nodes that are replaced in a minute
	For        time.Duration // how long is measured
	Settle     time.Duration // before that
	SingleIPv4 bool
	NoProbes   bool
	Repo, Dir  string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var o options
	app := kingpin.New("scale", "Measure an agent in a large cluster.")
	measure := app.Command("measure", "Measure.").Default()
	measure.Flag("nodes", "Nodes of the cluster.").Default("5000").IntVar(&o.Nodes)
	measure.Flag("churn", "Part of the nodes whose pods are replaced in a minute.").Default("0.01").Float64Var(&o.Churn)
	measure.Flag("for", "How long to measure.").Default("5m").DurationVar(&o.For)
	measure.Flag("settle", "How long the agent may settle before.").Default("1m").DurationVar(&o.Settle)
	measure.Flag("ipv4-only", "Only IPv4 in place of both families.").BoolVar(&o.SingleIPv4)
	measure.Flag("no-probes", "Have the agent probe nobody: the rest is what discovery and collectors take.").BoolVar(&o.NoProbes)
	measure.Flag("repo", "Folder of podnet_exporter and bin/.").Default(".").StringVar(&o.Repo)
	inside := measure.Flag("inside", "Set when it runs in the namespace.").Hidden().Bool()
	pod := app.Command(podCommand, "The endpoint's pod.").Hidden()
	key := pod.Arg("key", "File of the cluster's key.").Required().String()
	node := app.Command(nodeCommand, "The measured node.").Hidden()
	nodePod := node.Arg("pod", "Process of the endpoint.").Required().Int()
	agent := node.Arg("agent", "Program and arguments.").Required().Strings()

	command, err := app.Parse(args)
	switch {
	case err != nil:
		return err
	case command == pod.FullCommand():
		return runPod(ctx, *key)
	case command == node.FullCommand():
		return runNode(ctx, 3, *nodePod, *agent)
	case o.Nodes < 20 || o.Nodes > 60000:
		return fmt.Errorf("--nodes: %d is not between 20 and 60000", o.Nodes)
	case os.Geteuid() != 0:
		return errors.New("needs root: it makes a network namespace, and the agent probes")
	case !*inside:
		return again(ctx, args)
	}
	if o.Repo, err = filepath.Abs(o.Repo); err != nil {
		return err
	}
	if o.Dir, err = os.MkdirTemp("", "podnet-scale-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(o.Dir) }()
	return o.measure(ctx)
}

// again runs this program in a network namespace of its own, which ends with
// it.
func again(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{"measure", "--inside"}, trimCommand(args)...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd.Run()
}

func trimCommand(args []string) []string {
	if len(args) > 0 && args[0] == "measure" {
		return args[1:]
	}
	return args
}

// children is the programs that were started, in order.
type children struct {
	dir  string
	cmds []*exec.Cmd
}

// start starts a program whose output goes to NAME.log, with some more files
// open. It ends with this one. The pod and the agent get a network namespace.
func (c *children) start(name string, files []*os.File, argv ...string) (*exec.Cmd, error) {
	log, err := os.Create(filepath.Join(c.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, files
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if name == podCommand || name == "agent" {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c.cmds = append(c.cmds, cmd)
	return cmd, nil
}

// stop ends the programs, the last first.
func (c *children) stop() {
	for i := len(c.cmds) - 1; i >= 0; i-- {
		_ = c.cmds[i].Process.Kill()
		_ = c.cmds[i].Wait()
	}
}

// log returns the end of a program's output.
func (c *children) log(name string) string {
	data, err := os.ReadFile(filepath.Join(c.dir, name+".log"))
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-2000):])
}

// until calls ready until it succeeds, for a minute.
func until(ctx context.Context, what string, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
