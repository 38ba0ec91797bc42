package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// ticksPerSecond is the unit of CPU times in /proc/PID/stat: USER_HZ, which is
// 100 on every architecture that Kubernetes runs on.
const ticksPerSecond = 100

// consumption is what all processes of one command name take.
type consumption struct {
	command string
	count   int
	ticks   uint64 // CPU time
	memory  uint64 // bytes resident
}

// usage prints what the processes inside the cluster's namespaces take.
func (c *Cluster) usage(ctx context.Context, over time.Duration) error {
	before, err := c.consumptions()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(over):
	}
	after, err := c.consumptions()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.Out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "PROCESSES\tCPU %\tMEMORY MB\tCOMMAND\t")
	var all consumption
	for _, a := range slices.SortedFunc(mapValues(after), func(x, y consumption) int { return cmp.Compare(y.memory, x.memory) }) {
		a.ticks -= min(a.ticks, before[a.command].ticks)
		printConsumption(w, a, over)
		all.count, all.ticks, all.memory = all.count+a.count, all.ticks+a.ticks, all.memory+a.memory
	}
	all.command = "all, in % of one CPU"
	printConsumption(w, all, over)
	return w.Flush()
}

func mapValues(m map[string]consumption) func(yield func(consumption) bool) {
	return func(yield func(consumption) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

func printConsumption(w *tabwriter.Writer, a consumption, over time.Duration) {
	cpu := 100 * float64(a.ticks) / ticksPerSecond / over.Seconds()
	fmt.Fprintf(w, "%d\t%.1f\t%.1f\t%s\t\n", a.count, cpu, float64(a.memory)/1e6, a.command)
}

// consumptions sums what the cluster's processes took so far, pods too, by
// command.
func (c *Cluster) consumptions() (map[string]consumption, error) {
	groups := map[uint64]bool{} // cgroup namespaces: those of pods lie inside the node's
	names, err := netspace.With(c.Plan.Prefix)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		var st unix.Stat_t
		if unix.Stat(netspace.Path(name), &st) == nil {
			groups[st.Ino] = true
		}
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	all := map[string]consumption{}
	for _, dir := range dirs {
		if !c.isInside(dir, groups) {
			continue
		}
		if one, err := readConsumption(dir); err == nil {
			sum := all[one.command]
			all[one.command] = consumption{one.command, sum.count + 1, sum.ticks + one.ticks, sum.memory + one.memory}
		}
	}
	return all, nil
}

// isInside reports whether a process is in a network namespace of the cluster,
// or in the cgroup of one of its nodes, as pods are.
func (c *Cluster) isInside(dir string, namespaces map[uint64]bool) bool {
	var st unix.Stat_t
	if unix.Stat(dir+"/ns/net", &st) == nil && namespaces[st.Ino] {
		return true
	}
	b, err := os.ReadFile(dir + "/cgroup")
	return err == nil && strings.Contains(string(b), "/"+c.Plan.Prefix)
}

// readConsumption reads what one process took. Source: proc(5), fields 14, 15
// and 24 of /proc/PID/stat.
func readConsumption(dir string) (consumption, error) {
	b, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return consumption{}, err
	}
	one, err := parseConsumption(string(b))
	if err != nil {
		return consumption{}, err
	}
	argv, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return consumption{}, err
	}
	one.command = commandOf(one.command, string(argv))
	return one, nil
}

// commandOf returns a process's name, and what it was told to do if it is of a
// program that does several things. Its arguments end with zero bytes.
func commandOf(name, argv string) string {
	if args := strings.Split(argv, "\x00"); name == "podnet_exporter" && len(args) > 1 {
		return name + " " + args[1]
	}
	return name
}

func parseConsumption(line string) (consumption, error) {
	begin, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	fields := strings.Fields(line[end+1:])
	if begin < 0 || end < begin || len(fields) < 22 {
		return consumption{}, fmt.Errorf("stat: unexpected text %q", line)
	}
	one := consumption{command: line[begin+1 : end], count: 1}
	for i, into := range map[int]*uint64{11: &one.ticks, 12: &one.ticks, 21: &one.memory} {
		n, err := strconv.ParseUint(fields[i], 10, 64)
		if err != nil {
			return consumption{}, fmt.Errorf("stat: field %d: %w", i+3, err)
		}
		*into += n
	}
	one.memory *= uint64(os.Getpagesize())
	return one, nil
}
