package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/alecthomas/kingpin/v2"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/sources"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	var status exitStatus
	switch {
	case err == nil:
	case errors.As(err, &status):
		os.Exit(int(status))
	case errors.Is(err, errTestsFailed):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
}

// run parses the command line and runs one command.
func run(ctx context.Context, args []string) error {
	app := kingpin.New("e2e", "A real Kubernetes of several nodes on one machine, with podnet_exporter in it.")
	app.HelpFlag.Short('h')
	app.Interspersed(false) // what follows kubectl and exec is theirs
	c := &Cluster{Out: os.Stdout}
	app.Flag("state-dir", "Folder of everything that belongs to the running cluster.").Default(defaultStateDir).StringVar(&c.StateDir)
	app.Flag("prefix", "What the names of the cluster's network namespaces and cgroups begin with; a second cluster needs another one, and another state directory.").
		Default(defaultPrefix).StringVar(&c.prefix)
	app.Flag("repo", "Folder of the podnet_exporter sources; default: found from the working directory.").StringVar(&c.Repo)
	app.Flag("proxy", "How kube-proxy programs Services, for a cluster that is made.").Default(proxyIPTables).EnumVar(&c.asked.Proxy, proxyIPTables, proxyNFTables)
	app.Flag("ipv4-only", "Make a cluster without IPv6.").BoolVar(&c.asked.IPv4Only)
	app.Flag("nodes", "Nodes of a cluster that is made.").Default("3").IntVar(&c.asked.Nodes)
	app.Flag("production", "Make a cluster with the chart's defaults, and scrapes and rules as in production: to measure what it takes. Nothing can be tested in it.").
		BoolVar(&c.asked.Production)
	commands := map[string]func(context.Context) error{}
	clusterCommands(app, c, commands)
	insideCommands(app, c, commands)
	nodeCommands(app, c, commands)
	testCommands(app, c, commands)

	name, err := app.Parse(forKubectl(args))
	if err != nil {
		return err
	}
	if err := c.settle(); err != nil {
		return err
	}
	return commands[name](ctx)
}

// forKubectl keeps the flags that follow "kubectl" for kubectl.
func forKubectl(args []string) []string {
	if i := slices.Index(args, "kubectl"); i >= 0 {
		return slices.Insert(slices.Clone(args), i+1, "--")
	}
	return args
}

// clusterCommands adds the commands that make, show and remove the cluster.
func clusterCommands(app *kingpin.Application, c *Cluster, commands map[string]func(context.Context) error) {
	build := app.Command("build", "Build what the cluster is made of (make e2e-tools); the first time takes 10 minutes.")
	commands[build.FullCommand()] = c.build
	up := app.Command("up", "Make the cluster anew; what is left of an earlier one is removed first.")
	bare := up.Flag("bare", "Only Kubernetes: install nothing.").Bool()
	commands[up.FullCommand()] = func(ctx context.Context) error { return c.up(ctx, *bare) }
	down := app.Command("down", "Remove the cluster and everything that belongs to it.")
	commands[down.FullCommand()] = func(context.Context) error { return c.down() }
	status := app.Command("status", "Print nodes, pods and processes.")
	commands[status.FullCommand()] = c.status
	usage := app.Command("usage", "Print what CPU time and memory the cluster's programs take.")
	over := usage.Flag("over", "How long to measure.").Default("10s").Duration()
	commands[usage.FullCommand()] = func(ctx context.Context) error { return c.usage(ctx, *over) }
}

// insideCommands adds the commands that run a program in the cluster.
func insideCommands(app *kingpin.Application, c *Cluster, commands map[string]func(context.Context) error) {
	kubectl := app.Command("kubectl", "Run kubectl as the cluster's administrator.")
	kubectlArgs := kubectl.Arg("args", "Its arguments.").Strings()
	commands[kubectl.FullCommand()] = func(ctx context.Context) error { return c.runKubectl(ctx, *kubectlArgs) }
	exec := app.Command("exec", "Run a program on a node, in all of its namespaces.")
	node := exec.Arg("node", "The node, for example node1.").Required().String()
	argv := exec.Arg("command", "Program and arguments.").Required().Strings()
	commands[exec.FullCommand()] = func(context.Context) error { return c.execOn(*node, *argv) }
}

// nodeCommands adds what a node of the cluster runs; nobody else calls it.
func nodeCommands(app *kingpin.Application, c *Cluster, commands map[string]func(context.Context) error) {
	for name, step := range map[string]func(*Cluster, NodePlan) error{enterCommand: (*Cluster).enterNode, bootCommand: (*Cluster).bootNode} {
		cmd := app.Command(name, "What a node runs.").Hidden()
		node := cmd.Arg("node", "Its name.").Required().String()
		commands[cmd.FullCommand()] = func(context.Context) error {
			n, err := c.anyNode(*node)
			if err != nil {
				return err
			}
			return step(c, n)
		}
	}
}

// settle completes the Cluster after the flags are known: paths are made
// absolute, and the plan is that of the cluster that runs.
func (c *Cluster) settle() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root: it makes namespaces and cgroups")
	}
	var err error
	if c.StateDir, err = filepath.Abs(c.StateDir); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if c.prefix == "" {
		return fmt.Errorf("--prefix: must not be empty, or every namespace would be the cluster's")
	}
	if c.asked.Nodes < 1 || c.asked.Nodes > maxNodes {
		return fmt.Errorf("--nodes: %d is not between 1 and %d", c.asked.Nodes, maxNodes)
	}
	if c.Repo, err = sources.At(c.Repo); err != nil {
		return err
	}
	c.asked.Prefix = c.prefix
	c.Plan = newPlan(c.asked)
	if s, err := c.readState(); err == nil {
		c.Plan = newPlan(s.Options)
	}
	return nil
}
