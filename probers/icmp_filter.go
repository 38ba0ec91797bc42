package probers

import (
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The kernel gives every ICMP packet of the namespace to every raw socket.
// Two filters keep the ones of others from being queued: one by ICMP type
// (raw(7), icmp6(7)), which costs nothing, and a classic BPF program.

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

// icmpFilter says which ICMP packets belong to an engine: echo replies with
// its id, and ICMP errors that quote an echo request with the id, or a UDP or
// TCP packet from one of its ports. The last bits of the id and of the ports
// are the flow's. A base port of 0 is none.
type icmpFilter struct {
	is6 bool
	id  uint16
	udp uint16
	tcp uint16
}

const flowMask = traceFlows - 1

func (f icmpFilter) program() []bpf.Instruction {
	if f.is6 {
		return f.program6()
	}
	return f.program4()
}

// program4 is for IPv4, where a raw socket sees packets from their IP header
// on. A load behind the end of the packet ends the program with 0.
func (f icmpFilter) program4() []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.LoadMemShift{Off: 0}, // X = length of the IP header
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: echoReply4, SkipFalse: 2},
		bpf.LoadIndirect{Off: 4, Size: 2},
		bpf.Jump{Skip: 14},                             // to the id
		bpf.LoadIndirect{Off: icmpHeader + 9, Size: 1}, // the quoted protocol
		bpf.StoreScratch{Src: bpf.RegA},
		bpf.LoadIndirect{Off: icmpHeader, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{}, // X = length of both IP headers
		bpf.LoadScratch{Dst: bpf.RegA},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolUDP, SkipTrue: 7},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolTCP, SkipTrue: 9},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolICMP4, SkipTrue: 12},
		bpf.LoadIndirect{Off: icmpHeader, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: echoRequest4, SkipTrue: 10},
	}, f.tail(bpf.LoadIndirect{Off: icmpHeader + 4, Size: 2}, bpf.LoadIndirect{Off: icmpHeader, Size: 2})...)
}

// program6 is for IPv6, where a raw socket sees messages from their ICMP
// header on. What has extension headers is left to the parser.
func (f icmpFilter) program6() []bpf.Instruction {
	const quoted = icmpHeader + ipv6Header
	return append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: echoReply6, SkipFalse: 2},
		bpf.LoadAbsolute{Off: 4, Size: 2},
		bpf.Jump{Skip: 11},                             // to the id
		bpf.LoadAbsolute{Off: icmpHeader + 6, Size: 1}, // the quoted next header
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolUDP, SkipTrue: 11},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolTCP, SkipTrue: 13},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: hopByHop6, SkipTrue: 15},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: routing6, SkipTrue: 14},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: fragment6, SkipTrue: 13},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: destination6, SkipTrue: 12},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolICMP6, SkipTrue: 12},
		bpf.LoadAbsolute{Off: quoted, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: echoRequest6, SkipTrue: 10},
	}, f.tail(bpf.LoadAbsolute{Off: quoted + 4, Size: 2}, bpf.LoadAbsolute{Off: quoted, Size: 2})...)
}

// tail is how the programs end: at 0 the id is loaded, at 1 it is compared, at
// 3 the UDP port, at 6 the TCP port; 9 is yes, and 10 is no.
func (f icmpFilter) tail(id, port bpf.Instruction) []bpf.Instruction {
	flowless := bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xffff &^ flowMask}
	return []bpf.Instruction{
		id,
		flowless,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(f.id), SkipTrue: 6, SkipFalse: 7},
		port,
		flowless,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(f.udp), SkipTrue: 3, SkipFalse: 4},
		port,
		flowless,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(f.tcp), SkipFalse: 1},
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
