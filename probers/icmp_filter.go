package probers

import (
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The kernel gives every ICMP packet of the namespace to every raw socket.
// Two filters keep the ones of others from being queued: one by ICMP type
// (raw(7), icmp6(7)), which costs nothing, and a classic BPF program by id.

// typeFilter lets only the given ICMP types through.
func typeFilter(is6 bool, types ...uint8) []uint32 {
	words := []uint32{^uint32(0)}
	if is6 {
		words = []uint32{^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)}
	}
	for _, t := range types {
		words[t/32] &^= 1 << (t % 32)
	}
	return words
}

func setTypeFilter(fd int, is6 bool, types ...uint8) error {
	words := typeFilter(is6, types...)
	level, name := unix.SOL_RAW, unix.ICMP_FILTER
	if is6 {
		level, name = unix.SOL_ICMPV6, unix.ICMPV6_FILTER
	}
	if errno := setsockopt(fd, level, name, unsafe.Pointer(&words[0]), uintptr(4*len(words))); errno != 0 {
		return fmt.Errorf("set type filter: %w", errno)
	}
	return nil
}

// idFilter4 keeps echo replies with the id, and ICMP errors that quote an echo
// request with the id. A raw IPv4 socket sees packets from their IP header on.
func idFilter4(id uint16) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadMemShift{Off: 0}, // X = length of the IP header
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: echoReply4, SkipFalse: 2},
		bpf.LoadIndirect{Off: 4, Size: 2},
		bpf.Jump{Skip: 10},
		bpf.LoadIndirect{Off: icmpHeader + 9, Size: 1}, // the quoted protocol
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolICMP4, SkipTrue: 10},
		bpf.LoadIndirect{Off: icmpHeader, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{}, // X = length of both IP headers
		bpf.LoadIndirect{Off: icmpHeader, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: echoRequest4, SkipTrue: 3},
		bpf.LoadIndirect{Off: icmpHeader + 4, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(id), SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
}

// idFilter6 is idFilter4 for IPv6. A raw ICMPv6 socket sees messages from
// their ICMP header on.
func idFilter6(id uint16) []bpf.Instruction {
	const quoted = icmpHeader + ipv6Header
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: echoReply6, SkipFalse: 2},
		bpf.LoadAbsolute{Off: 4, Size: 2},
		bpf.Jump{Skip: 5},
		bpf.LoadAbsolute{Off: icmpHeader + 6, Size: 1}, // the quoted next header
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolICMP6, SkipTrue: 5},
		bpf.LoadAbsolute{Off: quoted, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: echoRequest6, SkipTrue: 3},
		bpf.LoadAbsolute{Off: quoted + 4, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(id), SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
}

// nothing is a filter that lets no packet through.
func nothing() []bpf.Instruction { return []bpf.Instruction{bpf.RetConstant{Val: 0}} }

func attachFilter(fd int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	if err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	return nil
}
