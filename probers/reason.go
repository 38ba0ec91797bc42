package probers

// Reason is why a probe failed. The set is closed, so that it can be a label.
type Reason string

// The reasons. The zero value, no reason, is success.
const (
	OK                  Reason = ""
	Timeout             Reason = "timeout"               // nothing came back in time
	Refused             Reason = "refused"               // RST in answer to the SYN, from the target's own address
	Reset               Reason = "reset"                 // RST on a connection that was open
	HostUnreachable     Reason = "host_unreachable"      // ICMP host unreachable, or no answer to ARP or neighbour discovery
	NetUnreachable      Reason = "net_unreachable"       // ICMP network unreachable, sent by a router
	PortUnreachable     Reason = "port_unreachable"      // ICMP port unreachable: a closed UDP port, or a firewall's REJECT
	AdminProhibited     Reason = "admin_prohibited"      // ICMP communication administratively prohibited: a firewall says so
	FragNeeded          Reason = "frag_needed"           // ICMP fragmentation needed, ICMPv6 packet too big
	TTLExceeded         Reason = "ttl_exceeded"          // ICMP time exceeded: a routing loop, or a traceroute
	NoRoute             Reason = "no_route"              // this namespace has no route to the target
	LocalPortsExhausted Reason = "local_ports_exhausted" // no free local port for this destination
	LocalDenied         Reason = "local_denied"          // the kernel refused to send: a local firewall rule, policy or cgroup program
	LocalBuffer         Reason = "local_buffer"          // no buffer space in the local queue
	DNSNXDomain         Reason = "dns_nxdomain"
	DNSServFail         Reason = "dns_servfail"
	DNSRefused          Reason = "dns_refused"
	DNSTruncated        Reason = "dns_truncated"
	DNSWrongAnswer      Reason = "dns_wrong_answer"
	HTTPStatus          Reason = "http_status"
	TLS                 Reason = "tls"
	BadReply            Reason = "bad_reply"      // something answered, with content that is not an answer to this probe
	WrongIdentity       Reason = "wrong_identity" // the answer came from another node or pod than the target
	Impaired            Reason = "impaired"       // the prober itself was late or starved: says nothing about the network
)

// Reasons returns every reason that a failed probe can have, in the order of
// the documentation.
func Reasons() []Reason {
	return []Reason{
		Timeout, Refused, Reset, HostUnreachable, NetUnreachable, PortUnreachable, AdminProhibited,
		FragNeeded, TTLExceeded, NoRoute, LocalPortsExhausted, LocalDenied, LocalBuffer,
		DNSNXDomain, DNSServFail, DNSRefused, DNSTruncated, DNSWrongAnswer,
		HTTPStatus, TLS, BadReply, WrongIdentity, Impaired,
	}
}
