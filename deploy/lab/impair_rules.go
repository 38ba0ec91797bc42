package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"github.com/vishvananda/netlink"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// copyMark begins the marks of the copies that impairment devices send, "cop",
// with the order of the device in the lowest byte.
const copyMark = 0x636f7000

// Directions of a link as seen from the machine that has the device.
const (
	directionIn   = "in"
	directionOut  = "out"
	directionBoth = "both"
)

// queueRule sends what passes a device in one direction to a queue. The device
// may be a bridge: then the rule sees what is routed out of it or into it, and
// by br_netfilter what it switches.
type queueRule struct {
	device string
	out    bool
	queue  uint16

	// order is the place of the impairment among those of a hook, up to
	// maxQueue: higher ones come first, and copies that were made there or
	// later pass.
	order uint8

	// prefixes are the addresses at the far end; others pass. None means all.
	prefixes []netip.Prefix
}

// sets returns the rule's chains, one per family.
func (r queueRule) sets() []ruleset {
	key, hook, name, far := expr.MetaKeyIIFNAME, nftables.ChainHookPrerouting, "PREROUTING", from
	if r.out {
		key, hook, name, far = expr.MetaKeyOIFNAME, nftables.ChainHookPostrouting, "POSTROUTING", toward
	}
	var sets []ruleset
	for _, f := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6} {
		set := ruleset{family: f, chain: name, hook: hook}
		rule := slices.Concat(byDevice(key, r.device), []expr.Any{
			&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
			&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
			&expr.Range{
				Op: expr.CmpOpNeq, Register: 1,
				FromData: binary.BigEndian.AppendUint32(nil, copyMark),
				ToData:   binary.BigEndian.AppendUint32(nil, copyMark|uint32(r.order)),
			},
		})
		toQueue := []expr.Any{&expr.Counter{}, r.target()}
		if len(r.prefixes) == 0 {
			set.rules = append(set.rules, slices.Concat(rule, toQueue))
		}
		for _, p := range r.prefixes {
			if p.Addr().Is4() == (f == nftables.TableFamilyIPv4) {
				set.rules = append(set.rules, slices.Concat(rule, address(far, expr.CmpOpEq, p), toQueue))
			}
		}
		sets = append(sets, set)
	}
	return sets
}

// target says "to the queue, or on if nobody reads it". It is iptables' target
// through nftables' compatibility layer: nftables' own queue expression is not
// in every kernel.
func (r queueRule) target() expr.Any {
	// struct xt_NFQ_info_v3 (kernel: include/uapi/linux/netfilter/xt_NFQUEUE.h)
	// with NFQ_FLAG_BYPASS, padded to 8 bytes.
	const queues, bypass, padding = 1, 1, 0
	var info xt.Unknown
	for _, field := range []uint16{r.queue, queues, bypass, padding} {
		info = binary.NativeEndian.AppendUint16(info, field)
	}
	return &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}
}

// placeQueueRules puts the rules into tables of that name in a namespace; what
// tables of the name had before is gone. All have the order of the first one.
func placeQueueRules(netnsName, table string, rules []queueRule) error {
	var sets []ruleset
	for _, r := range rules {
		sets = append(sets, r.sets()...)
	}
	return placeTables(netnsName, table, nftables.ChainPriority(-int32(rules[0].order)), sets)
}

// checkDevice returns an error if a device is not there, or is a bridge whose
// switched packets the rules would not see.
func checkDevice(netnsName, device string) error {
	h, err := netspace.Netlink(netnsName)
	if err != nil {
		return err
	}
	defer h.Close()
	l, err := h.LinkByName(device)
	if err != nil {
		return fmt.Errorf("device %s of %s: %w", device, netnsName, err)
	}
	if l.Attrs().MasterIndex != 0 {
		return fmt.Errorf("device %s of %s is a port of a bridge: name the bridge, and with --address what is behind the port", device, netnsName)
	}
	if _, bridge := l.(*netlink.Bridge); !bridge {
		return nil
	}
	return netspace.In(netnsName, func() error {
		for _, hook := range []string{"iptables", "ip6tables"} {
			on, err := readNumber("net/bridge/bridge-nf-call-" + hook)
			if err != nil || on == 0 {
				return fmt.Errorf("what the bridge %s of %s switches cannot be queued: it needs br_netfilter with bridge-nf-call-%s=1 (%w)", device, netnsName, hook, err)
			}
		}
		return nil
	})
}
