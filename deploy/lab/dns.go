package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
)

// corefile configures the cluster's DNS servers: a zone file for names inside
// the cluster, and one made-up answer for every name outside, because nothing
// leaves the lab. Outside names resolve to addresses for documentation
// (RFC 5737, RFC 3849).
func (l *Lab) corefile() string {
	return fmt.Sprintf(`cluster.local:%[1]d {
    errors
    ready :8181
    prometheus :9153
    loadbalance
    file %[2]s
}
.:%[1]d {
    errors
    template IN A . {
        answer "{{ .Name }} 60 IN A 203.0.113.10"
    }
    template IN AAAA . {
        answer "{{ .Name }} 60 IN AAAA 2001:db8::10"
    }
    template ANY ANY . {
        rcode NOERROR
    }
}
`, dnsPort, l.path("cluster.zone"))
}

// zone returns what the cluster's DNS knows: every Service by its virtual
// addresses, and under NAME-pods, as a headless Service, by its pods'.
func zone(svcs []Service) string {
	var b strings.Builder
	b.WriteString(`$ORIGIN cluster.local.
$TTL 5
@ IN SOA ns.dns hostmaster.cluster.local. 1 7200 1800 86400 5
@ IN NS ns.dns
ns.dns IN A 10.96.0.10
dns-version IN TXT "1.1.0"
`)
	record := func(name string, s Service, a netip.Addr) {
		kind := "A"
		if a.Is6() {
			kind = "AAAA"
		}
		fmt.Fprintf(&b, "%s.%s.svc IN %s %s\n", name, s.Namespace, kind, a)
	}
	for _, s := range svcs {
		record(s.Name, s, s.VIP4)
		record(s.Name, s, s.VIP6)
		for _, pod := range s.Pods {
			record(s.Name+"-pods", s, pod.Addr4)
			record(s.Name+"-pods", s, pod.Addr6)
		}
	}
	return b.String()
}

// writeDNS writes what the DNS servers read.
func (l *Lab) writeDNS() error {
	if err := statefile.Write(l.path("cluster.zone"), []byte(zone(services(l.Plan)))); err != nil {
		return err
	}
	return statefile.Write(l.path("Corefile"), []byte(l.corefile()))
}

// startDNS starts the cluster's DNS server of a node, if the node has one.
func (l *Lab) startDNS(node string) error {
	n, ok := l.Plan.Node(node)
	if !ok || n.DNSNetns == "" {
		return fmt.Errorf("no DNS server on node %q in the lab", node)
	}
	return l.startProcess("dns-"+node, n.DNSNetns, []string{
		filepath.Join(l.Repo, "bin", "coredns"), "-conf", l.path("Corefile"),
	})
}

// dnsReady asks a DNS server inside its pod.
func (l *Lab) dnsReady(n NodePlan) check {
	return check{"dns-" + n.Name, func(ctx context.Context) error {
		_, err := netspace.Get(ctx, n.DNSNetns, "http://127.0.0.1:8181/ready")
		return err
	}}
}
