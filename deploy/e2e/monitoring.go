package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/windows"
)

// Where Prometheus and Alertmanager listen, beside the control plane.
const (
	prometheusPort   = 9090
	alertmanagerPort = 9093
)

func (c *Cluster) monitor() paging.Monitor {
	return paging.Monitor{Netns: c.Plan.Control.Netns, PrometheusPort: prometheusPort, AlertmanagerPort: alertmanagerPort}
}

// startMonitoring starts Prometheus, which finds the agents through Kubernetes
// and has the project's rules with a lab's windows, and Alertmanager.
func (c *Cluster) startMonitoring(ctx context.Context) error {
	if err := c.writeMonitoring(); err != nil {
		return err
	}
	err := c.start("alertmanager", c.Plan.Control.Netns, c.bin("alertmanager"),
		"--config.file="+c.path("alertmanager.yaml"), "--storage.path="+c.path("alertmanager"),
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", alertmanagerPort), "--cluster.listen-address=")
	if err != nil {
		return err
	}
	err = c.start("prometheus", c.Plan.Control.Netns, c.bin("prometheus-kubernetes"),
		"--config.file="+c.path("prometheus.yaml"), "--storage.tsdb.path="+c.path("prometheus"),
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", prometheusPort))
	if err != nil {
		return err
	}
	for name, port := range map[string]int{"alertmanager": alertmanagerPort, "prometheus": prometheusPort} {
		err := c.waitFor(ctx, name, func(ctx context.Context) error {
			_, err := netspace.Get(ctx, c.Plan.Control.Netns, fmt.Sprintf("http://127.0.0.1:%d/-/ready", port))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// writeMonitoring writes what Prometheus and Alertmanager read.
func (c *Cluster) writeMonitoring() error {
	if err := os.MkdirAll(c.path("rules"), 0o755); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(c.Repo, "alerts", "*.rules.yaml"))
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if err := rewrite(file, c.path("rules", name), windows.Rules); err != nil {
			return err
		}
	}
	err = rewrite(filepath.Join(c.Repo, "alerts", "alertmanager.yaml"), c.path("alertmanager.yaml"), windows.Alertmanager)
	if err != nil {
		return err
	}
	return writeYAML(c.path("prometheus.yaml"), c.prometheusConfig())
}

// rewrite copies a file, changed to a lab's windows.
func rewrite(from, to string, change func(name string, text []byte) ([]byte, error)) error {
	text, err := os.ReadFile(from)
	if err == nil {
		text, err = change(filepath.Base(from), text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return statefile.Write(to, text)
}

// prometheusConfig finds the agents as the chart's PodMonitor does, and scrapes
// them each second.
func (c *Cluster) prometheusConfig() object {
	return object{
		"global":     object{"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
		"rule_files": []string{c.path("rules", "*.rules.yaml")},
		"alerting": object{"alertmanagers": []object{
			{"static_configs": []object{{"targets": []string{fmt.Sprintf("127.0.0.1:%d", alertmanagerPort)}}}},
		}},
		"scrape_configs": []object{{
			"job_name": "podnet", "honor_labels": true,
			"kubernetes_sd_configs": []object{{
				"role": "pod", "kubeconfig_file": c.kubeconfig("admin"), "namespaces": object{"names": []string{namespace}},
			}},
			"relabel_configs": []object{
				{"action": "keep", "source_labels": []string{"__meta_kubernetes_pod_container_port_name"}, "regex": "metrics"},
				// As the chart's PodMonitor: nothing of the target but its node.
				{"source_labels": []string{"__meta_kubernetes_pod_node_name"}, "target_label": "node"},
			},
			"scrape_native_histograms": true, "always_scrape_classic_histograms": true,
			"scrape_protocols": []string{"PrometheusProto", "OpenMetricsText1.0.0", "PrometheusText0.0.4"},
		}},
	}
}

// families returns how many address families the cluster has.
func (p Plan) families() int { return len(p.Pods) }

// quiet fails unless the cluster is as it should be before something is done
// to it: every node says ok of every node in every address family, none says
// that something is broken, and no page fires or is about to.
func (c *Cluster) quiet(ctx context.Context) error {
	pairs := len(c.Plan.Nodes) * len(c.Plan.Nodes) * c.Plan.families()
	for _, q := range []struct {
		expr string
		want int // samples
		what string
	}{
		{`sum by (node, peer_node, family) (increase(podnet_peer_verdicts_total{verdict="ok"}[5s])) > 0`, pairs, "pairs of nodes that say ok"},
		{`increase(podnet_peer_verdicts_total{verdict!~"ok|lossy|impaired|expected_down"}[5s]) > 0`, 0, "verdicts that something is broken"},
		{`ALERTS{severity="page"}`, 0, "pages that fire or are pending"},
	} {
		got, err := c.monitor().Query(ctx, q.expr)
		if err != nil {
			return err
		}
		if len(got) != q.want {
			return fmt.Errorf("%d %s, not %d%s", len(got), q.what, q.want, labelsOf(got))
		}
	}
	alerts, err := c.monitor().Alerts(ctx)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(alerts, func(a paging.Alert) bool { return a.Labels["severity"] == paging.SeverityPage }); i >= 0 {
		return errors.New("a page fires: " + paging.LabelText(alerts[i].Labels))
	}
	return nil
}

// labelsOf lists samples for people.
func labelsOf(samples []paging.Sample) string {
	var texts []string
	for _, s := range samples {
		texts = append(texts, paging.LabelText(s.Labels))
	}
	if len(texts) == 0 {
		return ""
	}
	return ": " + strings.Join(texts, " ")
}
