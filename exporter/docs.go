package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
)

// metricsDocCommand is "metrics-doc", which makes docs/METRICS.md. It is not
// for users, and not in the help.
func metricsDocCommand(app *kingpin.Application, stdout io.Writer) command {
	cmd := app.Command("metrics-doc", "Write docs/METRICS.md.").Hidden()
	return command{cmd.FullCommand(), func(context.Context, *slog.Logger) error { return writeMetricsDoc(stdout) }}
}

// writeMetricsDoc writes every metric that an agent with all its parts can
// have, as it was registered. Nothing is collected, so that the text is the
// same on every machine.
func writeMetricsDoc(w io.Writer) error {
	sections, err := describedSections()
	if err != nil {
		return err
	}
	fmt.Fprint(w, `# Metrics

Made by `+"`make generate`"+`; do not edit. Every metric has the label `+"`node`"+`, the node that the agent runs on,
besides those that are listed. Metrics that begin with `+"`go_` and `process_`"+` are those of the Prometheus client
library. What an agent exports depends on its configuration and on what the kernel can tell;
`+"`podnet_series`"+` says how many series that makes.
`)
	for _, s := range sections {
		fmt.Fprintf(w, "\n## %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", s.title)
		for _, d := range s.described {
			fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", d.name, d.kind, d.labelText(), strings.ReplaceAll(d.help, "|", `\|`))
		}
	}
	return nil
}

// docSection is a chapter of the document.
type docSection struct {
	title     string
	described []described
}

// describedSections registers what an agent registers, part by part.
func describedSections() ([]docSection, error) {
	log := slog.New(slog.DiscardHandler)
	namespaces := netns.NewTable(log)
	defer func() { _ = namespaces.Close() }()
	c, err := newCollection(config.Default(), namespaces, &meshView{}, log)
	if err != nil {
		return nil, err
	}
	defer c.close()

	var sections []docSection
	for _, part := range []struct {
		title    string
		register func(prometheus.Registerer)
	}{
		{"Probes and verdicts", func(reg prometheus.Registerer) { metrics.NewRecorder(reg) }},
		{"Paths", func(reg prometheus.Registerer) { metrics.NewPaths(reg) }},
		{"Who is visited, and by whom this node is probed", func(reg prometheus.Registerer) { metrics.NewRotation(reg); metrics.NewCoverage(reg) }},
		{"The prober itself", func(reg prometheus.Registerer) { metrics.NewProber(reg) }},
		{"Kubernetes", func(reg prometheus.Registerer) { metrics.NewKubernetes(reg, nil) }},
		{"The kernel, of the node and its pods", func(reg prometheus.Registerer) { reg.MustRegister(c.set) }},
		{"The program", func(reg prometheus.Registerer) { metrics.NewReloads(reg); registerProcess(reg) }},
	} {
		d := &describer{}
		part.register(d)
		sections = append(sections, docSection{part.title, d.sorted()})
	}
	last := &sections[len(sections)-1]
	last.described = append(last.described, countedDescription()...)
	return sections, nil
}

// countedDescription describes what is added to every exposition without
// being registered.
func countedDescription() []described {
	families, err := metrics.Counted(prometheus.NewRegistry(), nil).Gather()
	if err != nil {
		return nil // an empty registry cannot fail
	}
	var all []described
	for _, f := range families {
		all = append(all, described{name: f.GetName(), help: f.GetHelp(), kind: strings.ToLower(f.GetType().String())})
	}
	return all
}

// described is a metric as its collector describes it.
type described struct {
	name, kind, help string
	labels           []string
}

func (d described) labelText() string {
	if len(d.labels) == 0 {
		return ""
	}
	return "`" + strings.Join(d.labels, "`, `") + "`"
}

// describer is a Registerer that keeps descriptions and nothing else.
type describer struct {
	all []described
}

// Register implements [prometheus.Registerer].
func (d *describer) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc)
	go func() {
		c.Describe(descs)
		close(descs)
	}()
	for desc := range descs {
		if one, ok := parseDesc(desc.String()); ok && strings.HasPrefix(one.name, "podnet_") {
			one.kind = kindOf(c, one.name)
			d.all = append(d.all, one)
		}
	}
	return nil
}

// MustRegister implements [prometheus.Registerer].
func (d *describer) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		_ = d.Register(c) // never fails
	}
}

// Unregister implements [prometheus.Registerer].
func (d *describer) Unregister(prometheus.Collector) bool { return false }

// sorted returns what was described, by name.
func (d *describer) sorted() []described {
	slices.SortFunc(d.all, func(a, b described) int { return cmp.Compare(a.name, b.name) })
	return d.all
}

// kindOf returns the type of a metric. A description does not hold it: a
// collector of the client library has it, and the others, which read the
// kernel's counters and gauges, keep to the naming rules.
func kindOf(c prometheus.Collector, name string) string {
	switch c.(type) {
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	case *prometheus.CounterVec:
		return "counter"
	}
	if strings.HasSuffix(name, "_total") {
		return "counter"
	}
	return "gauge"
}

// parseDesc reads what Desc.String writes: the client library shows the parts
// of a description in no other way.
func parseDesc(text string) (described, bool) {
	parts := regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*").*variableLabels: \{(.*)\}\}$`).FindStringSubmatch(text)
	if parts == nil {
		return described{}, false
	}
	name, nameErr := strconv.Unquote(parts[1])
	help, helpErr := strconv.Unquote(parts[2])
	if nameErr != nil || helpErr != nil {
		return described{}, false
	}
	d := described{name: name, help: help}
	if parts[3] != "" {
		d.labels = strings.Split(parts[3], ",")
	}
	return d, true
}
