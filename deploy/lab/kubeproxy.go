package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// kubeProxyTable is the table that kube-proxy's nftables mode makes, of each
// family. Its chains, maps and sets have kube-proxy's names.
const kubeProxyTable = "kube-proxy"

// masqueradeMark is kube-proxy's mark of packets to be masqueraded.
const masqueradeMark = 0x4000

// serviceRules programs a node for services as kube-proxy's nftables mode does
// (kubernetes: pkg/proxy/nftables).
func serviceRules(n NodePlan, svcs []Service) error {
	c, err := netspace.Nft(n.Netns)
	if err != nil {
		return err
	}
	defer c.CloseLasting() //nolint:errcheck // the rules are in by then, or the error is known
	for _, f := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6} {
		p := newProxier(c, f)
		if err := p.program(n, svcs); err != nil {
			return fmt.Errorf("services of %s: %w", n.Name, err)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("services of %s: %w", n.Name, err)
	}
	return nil
}

// proxier writes the table of one family.
type proxier struct {
	c     *nftables.Conn
	f     nftables.TableFamily
	table *nftables.Table

	clusterIPs, nodePortIPs       *nftables.Set
	serviceIPs, serviceNodePorts  *nftables.Set // address . protocol . port, protocol . port : verdict
	pods, clusterRange            netip.Prefix
	services, masquerading, marks *nftables.Chain
}

func newProxier(c *nftables.Conn, f nftables.TableFamily) *proxier {
	p := &proxier{c: c, f: f, table: c.AddTable(&nftables.Table{Family: f, Name: kubeProxyTable})}
	p.pods, p.clusterRange = netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("10.96.0.0/16")
	address := nftables.TypeIPAddr
	if f == nftables.TableFamilyIPv6 {
		address = nftables.TypeIP6Addr
		p.pods, p.clusterRange = netip.MustParsePrefix("fd00:244::/32"), netip.MustParsePrefix("fd00:96::/112")
	}
	p.clusterIPs = &nftables.Set{Table: p.table, Name: "cluster-ips", KeyType: address}
	p.nodePortIPs = &nftables.Set{Table: p.table, Name: "nodeport-ips", KeyType: address}
	p.serviceIPs = &nftables.Set{
		Table: p.table, Name: "service-ips", IsMap: true, Concatenation: true, DataType: nftables.TypeVerdict,
		KeyType: nftables.MustConcatSetType(address, nftables.TypeInetProto, nftables.TypeInetService),
	}
	p.serviceNodePorts = &nftables.Set{
		Table: p.table, Name: "service-nodeports", IsMap: true, Concatenation: true, DataType: nftables.TypeVerdict,
		KeyType: nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService),
	}
	return p
}

// program writes base chains, maps, and the chains of every Service.
func (p *proxier) program(n NodePlan, svcs []Service) error {
	for _, s := range []*nftables.Set{p.clusterIPs, p.nodePortIPs, p.serviceIPs, p.serviceNodePorts} {
		if err := p.c.AddSet(s, nil); err != nil {
			return err
		}
	}
	p.services, p.masquerading, p.marks = p.chain("services"), p.chain("masquerading"), p.chain("mark-for-masquerade")
	p.baseChains()
	if err := p.c.SetAddElements(p.nodePortIPs, []nftables.SetElement{{Key: n.addr(p.f).AsSlice()}}); err != nil {
		return err
	}
	for _, s := range svcs {
		if err := p.c.SetAddElements(p.clusterIPs, []nftables.SetElement{{Key: s.vip(p.f).AsSlice()}}); err != nil {
			return err
		}
		for _, port := range s.Ports {
			if err := p.addPort(s, port); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *proxier) chain(name string) *nftables.Chain {
	return p.c.AddChain(&nftables.Chain{Table: p.table, Name: name})
}

func (p *proxier) base(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority nftables.ChainPriority) *nftables.Chain {
	return p.c.AddChain(&nftables.Chain{
		Table: p.table, Name: name, Type: kind, Hooknum: hook, Priority: nftables.ChainPriorityRef(priority),
	})
}

func (p *proxier) rule(chain *nftables.Chain, exprs ...[]expr.Any) {
	var all []expr.Any
	for _, e := range exprs {
		all = append(all, e...)
	}
	p.c.AddRule(&nftables.Rule{Table: p.table, Chain: chain, Exprs: all})
}

// baseChains writes the chains that hooks call, and those that they share.
func (p *proxier) baseChains() {
	check := p.chain("cluster-ips-check")
	forward := p.base("filter-forward", nftables.ChainTypeFilter, nftables.ChainHookForward, -110)
	output := p.base("filter-output-post-dnat", nftables.ChainTypeFilter, nftables.ChainHookOutput, -90)
	for _, chain := range []*nftables.Chain{forward, output} {
		p.rule(chain, stateIs(expr.CtStateBitNEW), jump(check))
	}
	// A port that the Service does not have is refused, an address that no
	// Service has is a black hole.
	p.rule(check, p.daddr(1), in(p.clusterIPs), []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: p.portUnreachable()}})
	p.rule(check, address(toward, expr.CmpOpEq, p.clusterRange), []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}})

	for _, b := range []struct {
		name string
		hook *nftables.ChainHook
	}{{"nat-prerouting", nftables.ChainHookPrerouting}, {"nat-output", nftables.ChainHookOutput}} {
		p.rule(p.base(b.name, nftables.ChainTypeNAT, b.hook, -100), jump(p.services))
	}
	p.rule(p.base("nat-postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, 100), jump(p.masquerading))

	key := []expr.Any{metaL4Proto(p.reg(1)), dport(p.reg(2))}
	p.rule(p.services, p.daddr(1), key, vmap(p.serviceIPs))
	p.rule(p.services, p.daddr(1), in(p.nodePortIPs),
		[]expr.Any{metaL4Proto(unix.NFT_REG32_00), dport(unix.NFT_REG32_01)}, vmap(p.serviceNodePorts))

	p.rule(p.marks, mark(^uint32(masqueradeMark), masqueradeMark)) // mark or 0x4000
	p.rule(p.masquerading, unmarked(), []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}})
	p.rule(p.masquerading, mark(^uint32(0), masqueradeMark), []expr.Any{&expr.Masq{FullyRandom: true}}) // mark xor 0x4000
}

// addPort writes the chains of one port of a Service and enters them into the
// maps.
func (p *proxier) addPort(s Service, port ServicePort) error {
	name := s.portName(port)
	vip := s.vip(p.f)
	service := p.chain("service-" + name)
	choice := &nftables.Set{
		Table: p.table, Anonymous: true, Constant: true, IsMap: true,
		KeyType: nftables.TypeInteger, KeyByteOrder: binaryutil.NativeEndian, DataType: nftables.TypeVerdict,
	}
	var backends []nftables.SetElement
	for i, pod := range s.Pods {
		backends = append(backends, nftables.SetElement{
			Key:         binaryutil.NativeEndian.PutUint32(uint32(i)),
			VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: p.addBackend(s, port, pod.addr(p.f)).Name},
		})
	}
	if err := p.c.AddSet(choice, backends); err != nil {
		return err
	}
	p.rule(service, address(toward, expr.CmpOpEq, single(vip)), toPort(port), address(from, expr.CmpOpNeq, p.pods), jump(p.marks))
	p.rule(service, []expr.Any{&expr.Numgen{Register: 1, Modulus: uint32(len(s.Pods)), Type: unix.NFT_NG_RANDOM}}, vmap(choice))

	portKey := append([]byte{port.Protocol, 0, 0, 0}, binary.BigEndian.AppendUint16(nil, port.Port)...)
	key := append(vip.AsSlice(), append(portKey, 0, 0)...)
	goTo := &expr.Verdict{Kind: expr.VerdictGoto, Chain: service.Name}
	if err := p.c.SetAddElements(p.serviceIPs, []nftables.SetElement{{Key: key, VerdictData: goTo}}); err != nil {
		return err
	}
	if port.NodePort == 0 {
		return nil
	}
	external := p.chain("external-" + name)
	p.rule(external, jump(p.marks))
	p.rule(external, []expr.Any{goTo})
	key = append([]byte{port.Protocol, 0, 0, 0}, append(binary.BigEndian.AppendUint16(nil, port.NodePort), 0, 0)...)
	return p.c.SetAddElements(p.serviceNodePorts, []nftables.SetElement{
		{Key: key, VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: external.Name}},
	})
}

// addBackend writes the chain of one pod behind a port.
func (p *proxier) addBackend(s Service, port ServicePort, pod netip.Addr) *nftables.Chain {
	name := fmt.Sprintf("%s/%s/%s/%s__%s/%d", s.Namespace, s.Name, protocolName(port.Protocol), port.Name, chainAddress(pod), port.Port)
	chain := p.chain("endpoint-" + hashed(name))
	p.rule(chain, address(from, expr.CmpOpEq, single(pod)), jump(p.marks)) // itself, through its own Service
	p.rule(chain, []expr.Any{metaL4Proto(1), &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{port.Protocol}},
		&expr.Immediate{Register: 1, Data: pod.AsSlice()},
		&expr.Immediate{Register: 2, Data: binary.BigEndian.AppendUint16(nil, port.Port)},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(p.f), RegAddrMin: 1, RegProtoMin: 2},
	})
	return chain
}
