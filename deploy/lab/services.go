package main

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Service is a Kubernetes Service of the lab: its virtual addresses, and the
// pods behind them.
type Service struct {
	Namespace, Name string
	VIP4, VIP6      netip.Addr
	Ports           []ServicePort
	Pods            []PodPlan
}

// ServicePort is one port of a Service; its pods listen on the same number.
type ServicePort struct {
	Name     string
	Protocol byte // unix.IPPROTO_TCP or unix.IPPROTO_UDP
	Port     uint16
	NodePort uint16 // on every node's own addresses, 0 for none
}

// services returns what the lab's nodes are programmed for.
func services(p Plan) []Service {
	endpoints := Service{
		Namespace: "podnet", Name: "endpoint", VIP4: addr("10.96.0.20"), VIP6: addr("fd00:96::20"),
		Ports: []ServicePort{
			{"tcp", unix.IPPROTO_TCP, endpointPort, 30798},
			{"udp", unix.IPPROTO_UDP, endpointPort, 30798},
		},
	}
	dns := Service{
		Namespace: "kube-system", Name: "kube-dns", VIP4: addr("10.96.0.10"), VIP6: addr("fd00:96::10"),
		Ports: []ServicePort{{"dns", unix.IPPROTO_UDP, dnsPort, 0}, {"dns-tcp", unix.IPPROTO_TCP, dnsPort, 0}},
	}
	for _, n := range p.Nodes {
		for _, pod := range n.Pods() {
			switch pod.Netns {
			case n.EndpointNetns:
				endpoints.Pods = append(endpoints.Pods, pod)
			case n.DNSNetns:
				dns.Pods = append(dns.Pods, pod)
			}
		}
	}
	return []Service{dns, endpoints}
}

// portName returns what kube-proxy calls a port of a Service,
// "podnet/endpoint/tcp/tcp", behind 8 letters of its hash.
func (s Service) portName(p ServicePort) string {
	name := fmt.Sprintf("%s/%s/%s/%s", s.Namespace, s.Name, protocolName(p.Protocol), p.Name)
	return hashed(name)
}

func hashed(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base32.StdEncoding.EncodeToString(sum[:])[:8] + "-" + name
}

func protocolName(p byte) string {
	if p == unix.IPPROTO_UDP {
		return "udp"
	}
	return "tcp"
}

// vip returns the Service's virtual address of a family.
func (s Service) vip(f nftables.TableFamily) netip.Addr {
	if f == nftables.TableFamilyIPv4 {
		return s.VIP4
	}
	return s.VIP6
}

// addr returns the pod's address of a family.
func (p PodPlan) addr(f nftables.TableFamily) netip.Addr {
	if f == nftables.TableFamilyIPv4 {
		return p.Addr4
	}
	return p.Addr6
}

// addr returns the node's address of a family.
func (n NodePlan) addr(f nftables.TableFamily) netip.Addr {
	if f == nftables.TableFamilyIPv4 {
		return n.Addr4
	}
	return n.Addr6
}
