package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"golang.org/x/sync/errgroup"
)

// clockTick is the unit of CPU times in /proc, in hertz; it is the same on
// every architecture that Linux has today.
const clockTick = 100

// sample is what the agent has used at one moment.
type sample struct {
	at         time.Time
	cpu        time.Duration
	memory     memory
	down, up   int64
	writes     int64
	series     float64
	sent, lost float64 // probes
	machine    machine
}

// machine is how the time of all CPUs was spent, in ticks.
type machine struct{ all, idle, stolen float64 }

// measure makes the cluster, runs the agent in it, and prints what it uses.
func (o options) measure(ctx context.Context) error {
	c := &children{dir: o.Dir}
	defer c.stop()
	if err := localise(); err != nil {
		return err
	}
	uplink, err := connectWorld()
	if err != nil {
		return err
	}
	defer uplink.Close()
	p := &proxy{}
	m, err := o.cluster(ctx, c)
	if err != nil {
		return err
	}
	pod, err := c.start(podCommand, nil, "/proc/self/exe", podCommand, o.path("key"))
	if err != nil {
		return err
	}
	remove, err := putInCgroup(pod.Process.Pid, m.endpointUID())
	if err != nil {
		return err
	}
	defer remove()
	defer c.stop() // before its group can be removed
	pid, err := o.startAgent(ctx, c, p, pod.Process.Pid, uplink)
	if err != nil {
		return err
	}
	take := func() (sample, error) { return o.take(ctx, c, pid, m, p) }

	group, churning := errgroup.WithContext(ctx)
	churning, stop := context.WithCancel(churning)
	group.Go(func() error { return m.churn(churning, o.Churn*float64(o.Nodes)) })
	var first, last sample
	var y yardstick
	group.Go(func() error {
		defer stop()
		if first, err = wait(churning, o.Settle, take); err != nil {
			return err
		}
		group.Go(func() error { y.measure(churning); return nil })
		last, err = wait(churning, o.For, take)
		return err
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("%w\nthe agent's log:\n%s", err, c.log("agent"))
	}
	o.print(os.Stdout, first, last, len(m.slices), p, &y)
	return nil
}

// cluster starts the API server and fills it.
func (o options) cluster(ctx context.Context, c *children) (*mesh, error) {
	if err := o.startAPI(c); err != nil {
		return nil, err
	}
	api, err := newAPI()
	if err != nil {
		return nil, err
	}
	if err := until(ctx, "API server", func() error { return api.ready(ctx) }); err != nil {
		return nil, fmt.Errorf("%w\nits log:\n%s", err, c.log("kube-apiserver"))
	}
	m := &mesh{api: api, nodes: o.Nodes}
	return m, m.fill(ctx, o.families())
}

// families returns for each address family of the cluster whether it is IPv6.
func (o options) families() []bool {
	if o.SingleIPv4 {
		return []bool{false}
	}
	return []bool{false, true}
}

// startAgent starts the agent with the default configuration, and those who
// answer it and probe it.
func (o options) startAgent(ctx context.Context, c *children, p *proxy, pod int, uplink *os.File) (pid int, err error) {
	data, err := os.ReadFile(o.path("key"))
	if err != nil {
		return 0, err
	}
	key := []byte(strings.TrimSpace(string(data)))
	if err := answer(key); err != nil {
		return 0, err
	}
	text := fmt.Sprintf("node: %s\ndiscovery: {kubernetes: {namespace: %s, kubeconfig: kubeconfig}}\nresponder: {key_file: key}\n", nodeName(0), namespace)
	if o.NoProbes {
		text += "probes: {icmp: {enabled: false}, tcp: {enabled: false}, udp: {enabled: false}, path: {enabled: false}, pmtu: {enabled: false}}\n"
	}
	if err := os.WriteFile(o.path("agent.yaml"), []byte(text), 0o600); err != nil {
		return 0, err
	}
	cmd, err := startNode(c, p, uplink, pod, o.Repo+"/podnet_exporter", "run", "--config.file="+o.path("agent.yaml"), "--web.listen-address=:9797")
	if err != nil {
		return 0, err
	}
	if !o.NoProbes {
		if err := probeNode(ctx, key, o.families()); err != nil {
			return 0, err
		}
	}
	err = until(ctx, "agent", func() error {
		page, err := scrape(ctx)
		if err == nil && page.sum("podnet_peers") < float64(o.Nodes-1) {
			err = errors.New("it does not know the mesh")
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%w\nits log:\n%s", err, c.log("agent"))
	}
	return cmd.Process.Pid, nil
}

// wait takes samples as often as a Prometheus scrapes, and returns the last.
func wait(ctx context.Context, d time.Duration, take func() (sample, error)) (s sample, err error) {
	ticker := time.NewTicker(15 * time.Second)
	defer ticker.Stop()
	end := time.After(d)
	for {
		select {
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-end:
			return take()
		case <-ticker.C:
			if s, err = take(); err != nil {
				return s, err
			}
		}
	}
}

func (o options) take(ctx context.Context, c *children, pid int, m *mesh, p *proxy) (s sample, err error) {
	page, err := scrape(ctx)
	if err != nil {
		return s, err
	}
	s = sample{
		at: time.Now(), down: p.down.Load(), up: p.up.Load(), writes: m.writes.Load(),
		series: page.sum("podnet_series"), sent: page.sum("podnet_probe_sent_total"), lost: page.sum("podnet_probe_failures_total"),
	}
	if s.cpu, err = cpuTime(pid); err != nil {
		return s, err
	}
	if s.machine, err = machineTime(); err != nil {
		return s, err
	}
	s.memory, err = memoryOf(pid)
	return s, err
}

// page is what the agent exports.
type page map[string]*dto.MetricFamily

// accept is what Prometheus 3 asks for when it scrapes native histograms.
const accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8;q=0.6," +
	"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.1"

func scrape(ctx context.Context) (page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+agentAddr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req) // compressed, as Prometheus asks for it
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	families := page{}
	decoder := expfmt.NewDecoder(resp.Body, expfmt.ResponseFormat(resp.Header))
	for {
		var f dto.MetricFamily
		err := decoder.Decode(&f)
		if errors.Is(err, io.EOF) {
			return families, nil
		}
		if err != nil {
			return nil, fmt.Errorf("scrape: %w", err)
		}
		families[f.GetName()] = &f
	}
}

// sum returns the sum of the values of a counter or gauge.
func (p page) sum(name string) (sum float64) {
	for _, m := range p[name].GetMetric() {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return sum
}

// cpuTime returns the CPU time of a process, user and system.
//
// Source: proc_pid_stat(5), fields 14 and 15.
func cpuTime(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, data)
	}
	user, userErr := strconv.ParseInt(fields[11], 10, 64)
	system, systemErr := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / clockTick, errors.Join(userErr, systemErr)
}

// machineTime returns how the machine spent its time. What a hypervisor gave to
// other machines counts as CPU time of whatever was running here.
//
// Source: proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
func machineTime() (m machine, err error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return m, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return m, fmt.Errorf("/proc/stat: %q", line)
	}
	for i, field := range fields[1:9] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return m, fmt.Errorf("/proc/stat: %w", err)
		}
		m.all += n
		switch i {
		case 3, 4:
			m.idle += n
		case 7:
			m.stolen += n
		}
	}
	return m, nil
}

// memory is the resident memory of a process in bytes.
type memory struct {
	now, peak int64
	own, file int64 // of now: its data, and pages of its program file, which the kernel can drop
}

// memoryOf returns the memory of a process.
//
// Source: proc_pid_status(5), in kB.
func memoryOf(pid int) (m memory, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		to := map[string]*int64{"VmRSS": &m.now, "VmHWM": &m.peak, "RssAnon": &m.own, "RssFile": &m.file}[name]
		if to == nil {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return m, err
		}
		*to = kb * 1024
	}
	return m, lines.Err()
}

func (o options) print(w io.Writer, first, last sample, slices int, p *proxy, y *yardstick) {
	over := last.at.Sub(first.at)
	families := "IPv4 and IPv6"
	if o.SingleIPv4 {
		families = "IPv4"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("cluster", "%d nodes, %s, %d EndpointSlices, %.3g %% of the nodes replaced in a minute", o.Nodes, families, slices, 100*o.Churn)
	row("measured", "%s after %s, scraped every 15 s", over.Round(time.Second), o.Settle)
	row("resident memory", "%.1f MB (%.1f MB data, %.1f MB program), at most %.1f MB", mb(last.memory.now), mb(last.memory.own), mb(last.memory.file), mb(last.memory.peak))
	cpu, inflation := 100*(last.cpu-first.cpu).Seconds()/over.Seconds(), y.inflation()
	row("pace", "%.0f µs for SHA-256 of %d kB, by which to compare machines, and hours of one", y.median().Seconds()*1e6, yardstickSize>>10)
	row("CPU", "%.2f %% of a core; things took %.2f times as long as they take, so about %.2f %%", cpu, inflation, cpu/inflation)
	whole := last.machine.all - first.machine.all
	row("machine", "%.0f %% busy, %.1f %% taken by others that the hypervisor serves, which is charged to whoever was running",
		100*(1-(last.machine.idle-first.machine.idle)/whole), 100*(last.machine.stolen-first.machine.stolen)/whole)
	row("series", "%.0f", last.series)
	row("probes", "%.0f per second, %.0f of all failed", (last.sent-first.sent)/over.Seconds(), last.lost-first.lost)
	row("changes", "%.1f slices written per second", float64(last.writes-first.writes)/over.Seconds())
	row("watch", "%.1f kB/s to the agent, %.2f kB/s from it; %.2f MB until the first sample; %d connections",
		float64(last.down-first.down)/1e3/over.Seconds(), float64(last.up-first.up)/1e3/over.Seconds(), mb(first.down), p.conns.Load())
}

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }
