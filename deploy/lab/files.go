package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/windows"
)

// meshFile is nodes.yaml, what file discovery reads.
type meshFile struct {
	Nodes   []meshNode   `yaml:"nodes"`
	Routers []meshRouter `yaml:"routers"`
}

type meshNode struct {
	Name      string       `yaml:"name"`
	Zone      string       `yaml:"zone"`
	Addresses []netip.Addr `yaml:"addresses,flow"`
	Endpoint  meshPod      `yaml:"endpoint"`
	Pods      []meshPod    `yaml:"pods"`
}

type meshPod struct {
	Namespace string       `yaml:"namespace"`
	Pod       string       `yaml:"pod"`
	Addresses []netip.Addr `yaml:"addresses,flow,omitempty"`
	Netns     string       `yaml:"netns"`
}

// mesh returns the plan as file discovery wants it.
func mesh(p Plan) meshFile {
	f := meshFile{Routers: meshRouters(p)}
	for _, n := range p.Nodes {
		node := meshNode{Name: n.Name, Zone: n.Zone, Addresses: []netip.Addr{n.Addr4, n.Addr6}}
		for i, pod := range n.Pods() {
			m := meshPod{Namespace: pod.Namespace, Pod: pod.Name, Netns: netspace.Path(pod.Netns)}
			if i == 0 {
				m.Addresses = []netip.Addr{pod.Addr4, pod.Addr6}
				node.Endpoint = m
			} else {
				node.Pods = append(node.Pods, m)
			}
		}
		f.Nodes = append(f.Nodes, node)
	}
	return f
}

// writeFiles fills the state directory with everything that the programs read.
func (l *Lab) writeFiles() error {
	for _, dir := range []string{"log", "rules"} {
		if err := os.MkdirAll(l.path(dir), 0o755); err != nil {
			return fmt.Errorf("state directory: %w", err)
		}
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("cluster key: %w", err)
	}
	if err := statefile.Write(l.path("key"), []byte(hex.EncodeToString(key)+"\n")); err != nil {
		return err
	}
	if err := statefile.WriteYAML(l.path("nodes.yaml"), mesh(l.Plan)); err != nil {
		return err
	}
	for _, n := range l.Plan.Nodes {
		if err := statefile.WriteYAML(l.path(n.Name+".yaml"), l.agentConfig(n)); err != nil {
			return err
		}
	}
	if err := statefile.WriteYAML(l.path("prometheus.yaml"), l.prometheusConfig()); err != nil {
		return err
	}
	if err := l.writeDNS(); err != nil {
		return err
	}
	if l.Production {
		return os.Symlink(filepath.Join(l.shipped(), "alertmanager.yaml"), l.path("alertmanager.yaml"))
	}
	return windows.Copy(l.shipped(), l.path("rules"), l.path("alertmanager.yaml"))
}

// shipped is the folder of the rules and of Alertmanager's configuration as
// users get them.
func (l *Lab) shipped() string { return filepath.Join(l.Repo, "alerts") }

// rules is the folder of those that this lab's Prometheus has.
func (l *Lab) rules() string {
	if l.Production {
		return l.shipped()
	}
	return l.path("rules")
}

// object is a YAML mapping.
type object = map[string]any

func (l *Lab) agentConfig(n NodePlan) object {
	config := object{
		"node":      n.Name,
		"discovery": object{"file": object{"path": l.path("nodes.yaml")}},
		"responder": object{"key_file": l.path("key")},
	}
	if !l.Production {
		config["probes"] = windows.Probes()
	}
	return config
}

// scrapeInterval is how often agents are asked for their metrics.
func (l *Lab) scrapeInterval() time.Duration {
	if l.Production {
		return 15 * time.Second
	}
	return time.Second
}

// pace is how long faults and pages may take.
func (l *Lab) pace() paging.Pace {
	if l.Production {
		return paging.ProductionPace()
	}
	return paging.LabPace()
}

// prometheusConfig scrapes every agent. The target's labels give `up` of a
// silent agent a node; what an agent says itself comes first.
func (l *Lab) prometheusConfig() object {
	var targets []object
	for _, n := range l.Plan.Nodes {
		targets = append(targets, object{
			"targets": []string{fmt.Sprintf("%s:%d", n.Addr4, agentPort)},
			"labels":  object{"node": n.Name, "instance": n.Name},
		})
	}
	if l.NoAgents {
		targets = nil
	}
	return object{
		"global": object{
			"scrape_interval": l.scrapeInterval().String(), "scrape_timeout": time.Second.String(),
			"evaluation_interval": l.scrapeInterval().String(),
		},
		"rule_files": []string{filepath.Join(l.rules(), "*.rules.yaml")},
		"alerting": object{"alertmanagers": []object{
			{"static_configs": []object{{"targets": []string{fmt.Sprintf("127.0.0.1:%d", alertmanagerPort)}}}},
		}},
		"scrape_configs": []object{{
			"job_name": "podnet", "honor_labels": true, "static_configs": targets,
			"scrape_native_histograms": true, "always_scrape_classic_histograms": true,
			"scrape_protocols": []string{"PrometheusProto", "OpenMetricsText1.0.0", "PrometheusText0.0.4"},
		}},
	}
}
