package main

import (
	"strings"
	"testing"
)

func TestZone(t *testing.T) {
	got := zone(services(NewPlan(cniVXLAN)))
	for _, want := range []string{
		"endpoint.podnet.svc IN A 10.96.0.20\n",
		"endpoint.podnet.svc IN AAAA fd00:96::20\n",
		"endpoint-pods.podnet.svc IN A 10.244.4.2\n",
		"kube-dns.kube-system.svc IN A 10.96.0.10\n",
		"kube-dns-pods.kube-system.svc IN AAAA fd00:244:3::4\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
}
