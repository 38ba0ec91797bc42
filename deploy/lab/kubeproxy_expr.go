package main

import (
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// reg returns the 4-byte register of the n-th field of a concatenation whose
// first field is an address of the table's family.
func (p *proxier) reg(n uint32) uint32 {
	if p.f == nftables.TableFamilyIPv4 {
		return unix.NFT_REG32_00 + n
	}
	return unix.NFT_REG32_00 + 3 + n
}

// daddr loads the destination address.
func (p *proxier) daddr(register uint32) []expr.Any {
	offset, length := uint32(16), uint32(4)
	if p.f == nftables.TableFamilyIPv6 {
		offset, length = 24, 16
	}
	return []expr.Any{&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}}
}

// portUnreachable is the code of the ICMP error, RFC 792 or RFC 4443.
func (p *proxier) portUnreachable() uint8 {
	if p.f == nftables.TableFamilyIPv4 {
		return 3
	}
	return 4
}

func metaL4Proto(register uint32) expr.Any {
	return &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}
}

func dport(register uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
}

// toPort matches packets to a Service's port.
func toPort(p ServicePort) []expr.Any { return port(p.Protocol, p.Port) }

func jump(to *nftables.Chain) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: to.Name}}
}

// in matches when register 1 is in the set.
func in(s *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}}
}

// vmap does what the map says about what begins in register 1, if anything.
func vmap(s *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: 1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: s.Name, SetID: s.ID}}
}

// mark sets the packet's mark to (mark and keep) xor flip.
func mark(keep, flip uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		bits(keep, flip),
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true},
	}
}

// unmarked matches packets that are not to be masqueraded.
func unmarked() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		bits(masqueradeMark, 0),
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: make([]byte, 4)},
	}
}

func bits(mask, xor uint32) expr.Any {
	return &expr.Bitwise{
		SourceRegister: 1, DestRegister: 1, Len: 4,
		Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: binaryutil.NativeEndian.PutUint32(xor),
	}
}

// chainAddress writes an address as kube-proxy does in a chain's name, where a
// colon may not stand.
func chainAddress(a netip.Addr) string { return strings.ReplaceAll(a.String(), ":", ".") }
