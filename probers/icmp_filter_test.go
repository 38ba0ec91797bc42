package probers

import (
	"testing"

	"golang.org/x/net/bpf"
)

func TestFilters(t *testing.T) {
	v4 := icmpFilter{id: 0x1230, udp: 61008, tcp: 61024}.program()
	v6 := icmpFilter{is6: true, id: 0x1230, udp: 61008, tcp: 61024}.program()
	other4 := icmpFilter{id: 0x4560, udp: 61040, tcp: 61056}.program()
	other6 := icmpFilter{is6: true, id: 0x4560, udp: 61040, tcp: 61056}.program()
	noTrace4, noTrace6 := icmpFilter{id: 0x1230}.program(), icmpFilter{is6: true, id: 0x1230}.program()
	options := errorAbout4(quoted(TraceTCP, false), 28)
	options[0] = 0x46
	options = append(options[:ipv4Header:ipv4Header], append(make([]byte, 4), options[ipv4Header:]...)...)
	answer6 := answerTo(tcpRst | tcpAck)
	answer4 := append(errorAbout4(nil, 0)[:ipv4Header:ipv4Header], answer6...)
	tests := []struct {
		name   string
		b      []byte
		passes [][]bpf.Instruction
		not    [][]bpf.Instruction
	}{
		{"IPv4 echo reply", reply4(77), [][]bpf.Instruction{v4, noTrace4}, [][]bpf.Instruction{other4}},
		{"IPv6 echo reply", reply6(77), [][]bpf.Instruction{v6, noTrace6}, [][]bpf.Instruction{other6}},
		{"quoted IPv4 echo", errorAbout4(quoted(ICMP, false), 28), [][]bpf.Instruction{v4, noTrace4}, [][]bpf.Instruction{other4}},
		{"quoted IPv6 echo", errorAbout6(quoted(ICMP, true), 48), [][]bpf.Instruction{v6, noTrace6}, [][]bpf.Instruction{other6}},
		{"quoted IPv4 echo reply", errorAbout4(reply4(77), 28), nil, [][]bpf.Instruction{v4}},
		{"quoted UDP over IPv4", errorAbout4(quoted(TraceUDP, false), 28), [][]bpf.Instruction{v4}, [][]bpf.Instruction{other4, noTrace4}},
		{"quoted UDP over IPv6", errorAbout6(quoted(TraceUDP, true), 48), [][]bpf.Instruction{v6}, [][]bpf.Instruction{other6, noTrace6}},
		{"quoted TCP over IPv4", errorAbout4(quoted(TraceTCP, false), 28), [][]bpf.Instruction{v4}, [][]bpf.Instruction{other4, noTrace4}},
		{"quoted TCP over IPv6", errorAbout6(quoted(TraceTCP, true), 48), [][]bpf.Instruction{v6}, [][]bpf.Instruction{other6, noTrace6}},
		{"quoted TCP in a packet with IPv4 options", options, [][]bpf.Instruction{v4}, [][]bpf.Instruction{other4}},
		{"a quoted extension header is for the parser", errorAbout6(extended(quoted(TraceUDP, true), routing6), 56), [][]bpf.Instruction{v6, other6}, nil},
		{"a quote that is too short", errorAbout4(quoted(TraceUDP, false), 20), nil, [][]bpf.Instruction{v4}},
		{"an answer to an IPv4 SYN", answer4, [][]bpf.Instruction{answerFilter(false, 61024)}, [][]bpf.Instruction{answerFilter(false, 61040)}},
		{"an answer to an IPv6 SYN", answer6, [][]bpf.Instruction{answerFilter(true, 61024)}, [][]bpf.Instruction{answerFilter(true, 61040)}},
		{"a SYN-ACK", answerTo(tcpSyn | tcpAck), [][]bpf.Instruction{answerFilter(true, 61024)}, nil},
		{"a SYN", answerTo(tcpSyn), nil, [][]bpf.Instruction{answerFilter(true, 61024)}},
		{"an ACK", answerTo(tcpAck), nil, [][]bpf.Instruction{answerFilter(true, 61024)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, program := range append(tt.passes, tt.not...) {
				vm, err := bpf.NewVM(program)
				if err != nil {
					t.Fatal(err)
				}
				n, err := vm.Run(tt.b)
				if err != nil {
					t.Fatal(err)
				}
				if passed := n > 0; passed != (i < len(tt.passes)) {
					t.Errorf("program %d of %d, of which %d let it pass: passed %t", i, len(tt.passes)+len(tt.not), len(tt.passes), passed)
				}
			}
		})
	}
}
