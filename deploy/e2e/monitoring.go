package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	return paging.Monitor{
		Netns: c.Plan.Control.Netns, PrometheusPort: prometheusPort, AlertmanagerPort: alertmanagerPort, Pace: paging.LabPace(),
	}
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
	shipped := filepath.Join(c.Repo, "alerts")
	if c.Plan.Production {
		return errors.Join(
			os.Symlink(filepath.Join(shipped, "alertmanager.yaml"), c.path("alertmanager.yaml")),
			statefile.WriteYAML(c.path("prometheus.yaml"), c.prometheusConfig(shipped, "15s")))
	}
	if err := os.MkdirAll(c.path("rules"), 0o755); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	if err := windows.Copy(shipped, c.path("rules"), c.path("alertmanager.yaml")); err != nil {
		return err
	}
	return statefile.WriteYAML(c.path("prometheus.yaml"), c.prometheusConfig(c.path("rules"), "1s"))
}

// prometheusConfig finds the agents as the chart's PodMonitor does, and scrapes
// them each interval. The rules are those of a folder.
func (c *Cluster) prometheusConfig(rules, interval string) object {
	return object{
		"global":     object{"scrape_interval": interval, "scrape_timeout": "1s", "evaluation_interval": interval},
		"rule_files": []string{filepath.Join(rules, "*.rules.yaml")},
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
// to it.
func (c *Cluster) quiet(ctx context.Context) error {
	return c.monitor().Quiet(ctx, len(c.Plan.Nodes)*len(c.Plan.Nodes)*c.Plan.families())
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
