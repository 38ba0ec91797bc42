package main

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func spine1(Plan, NodePlan) string { return "spine1" }

func onSpine1(l *Lab, _ NodePlan) string { return l.Plan.Netns("spine1") }
func onSpine2(l *Lab, _ NodePlan) string { return l.Plan.Netns("spine2") }

// zonePair returns the zones of the node and of those that are not in its, in
// alphabetical order: "a-b".
func zonePair(p Plan, n NodePlan) string {
	other := p.Nodes[slices.IndexFunc(p.Nodes, func(o NodePlan) bool { return o.Zone != n.Zone })]
	return min(n.Zone, other.Zone) + "-" + max(n.Zone, other.Zone)
}

// bothFamilies returns the same rules for IPv4 and IPv6.
func bothFamilies(chain string, hook *nftables.ChainHook, rules ...[]expr.Any) []ruleset {
	return []ruleset{
		{nftables.TableFamilyIPv4, chain, hook, rules},
		{nftables.TableFamilyIPv6, chain, hook, slices.Clone(rules)},
	}
}

// lossPercent is how much a fabric link loses.
const lossPercent = 10

// fabricLoss drops a part of what spine1 receives from the switch of the
// node's rack. What spine1 sends to the switch is not touched: so the loss is
// on one direction of the link, and only on flows that are hashed to it.
func fabricLoss(l *Lab, n NodePlan) (string, []ruleset) {
	match := append(byDevice(expr.MetaKeyIIFNAME, n.ToR), chance(lossPercent)...)
	return onSpine1(l, n), bothFamilies("PREROUTING", nftables.ChainHookPrerouting, match)
}

// chance matches that part of the packets, in percent, at random.
func chance(percent uint32) []expr.Any {
	return append(
		[]expr.Any{&expr.Numgen{Register: 1, Modulus: 100, Type: unix.NFT_NG_RANDOM}},
		number(expr.CmpOpLt, percent)...)
}

// number compares the number in register 1, which is in the machine's byte
// order. The kernel compares bytes from the first on.
func number(op expr.CmpOp, n uint32) []expr.Any {
	return []expr.Any{
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: op, Register: 1, Data: binary.BigEndian.AppendUint32(nil, n)},
	}
}

// partition lets the spines drop what passes between racks. The monitoring
// host is connected to the spines, and still reaches every node.
func partition(_ context.Context, l *Lab, _ NodePlan) error {
	var errs []error
	for _, spine := range l.Plan.spines() {
		var rules [][]expr.Any
		for _, from := range l.Plan.switches() {
			for _, to := range l.Plan.switches() {
				if from != to {
					rules = append(rules, slices.Concat(
						byDevice(expr.MetaKeyIIFNAME, from), byDevice(expr.MetaKeyOIFNAME, to),
						[]expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}}))
				}
			}
		}
		sets := bothFamilies("FORWARD", nftables.ChainHookForward, rules...)
		errs = append(errs, replaceTables(l.Plan.Netns(spine), faultTable("rack-partition"), sets))
	}
	return errors.Join(errs...)
}

// unite undoes partition.
func unite(_ context.Context, l *Lab, _ NodePlan) error {
	var errs []error
	for _, spine := range l.Plan.spines() {
		errs = append(errs, replaceTables(l.Plan.Netns(spine), faultTable("rack-partition"), nil))
	}
	return errors.Join(errs...)
}

// spines and switches return the names of the fabric's routers: those between
// racks, and those of the racks.
func (p Plan) spines() []string   { return p.routers(func(r RouterPlan) bool { return r.Rack == "" }) }
func (p Plan) switches() []string { return p.routers(func(r RouterPlan) bool { return r.Rack != "" }) }

func (p Plan) routers(which func(RouterPlan) bool) []string {
	var names []string
	for _, r := range p.Routers {
		if which(r) {
			names = append(names, r.Name)
		}
	}
	return names
}
