package drops

// class says what kind of thing a drop reason is, for a person who does not
// know the kernel's names.
type class string

// The classes, in the order of urgency for somebody who misses packets.
const (
	policy      class = "policy"      // a rule or a program decided so: firewall, XDP, tc, cgroup, security module
	capacity    class = "capacity"    // a queue, a buffer, a table or the memory is full
	config      class = "config"      // the packet is not what this machine was set up for: MTU, checksum, key, header, device not up
	routing     class = "routing"     // nobody knows where the packet should go: route, neighbour, tunnel
	application class = "application" // the program at the end: nobody listens, or does not read
	benign      class = "benign"      // belongs to the normal work of a healthy network
)

// defaultClass is the class of NOT_SPECIFIED, and of every reason that a newer
// kernel knows and [classOf] does not. Counting it as benign would hide it, and
// the other classes would each promise something that nobody knows.
const defaultClass = config

// notSpecified is the reason of the drops that have none.
const notSpecified = "NOT_SPECIFIED"

// classOf returns the class of a reason by the name that this kernel gives it
// (kernel: include/net/dropreason-core.h, which explains each).
func classOf(reason string) class {
	c, ok := classIn(reason)
	if !ok {
		return defaultClass
	}
	return c
}

// classOfPacket is [classOf], but for packets to a group: those of groups that
// nobody here has joined die without a reason, all the time and everywhere.
func classOfPacket(reason string, multicast bool) class {
	if multicast && reason == notSpecified {
		return benign
	}
	return classOf(reason)
}

// classIn returns the class of a reason, and false for one that it does not
// know.
func classIn(reason string) (class, bool) {
	switch reason {
	case "NETFILTER_DROP", "XFRM_POLICY", "BPF_CGROUP_EGRESS", "TC_EGRESS", "TC_INGRESS", "XDP", "SECURITY_HOOK",
		"TAP_FILTER", "TAP_TXFILTER", "TCP_MINTTL", "OVS_DROP_EXPLICIT", "OVS_DROP_EXPLICIT_WITH_ERROR",
		"OVS_DROP_METER":
		return policy, true

	case "SOCKET_RCVBUFF", "PROTO_MEM", "SOCKET_BACKLOG", "TCP_LISTEN_OVERFLOW", "TCP_OFO_QUEUE_PRUNE", "TCP_OFO_DROP",
		"NEIGH_QUEUEFULL", "NEIGH_CREATEFAIL", "NEIGH_HH_FILLFAIL", "QDISC_DROP", "QDISC_OVERLIMIT", "QDISC_CONGESTED",
		"QDISC_BURST_DROP", "QDISC_MAXFLOWS", "QDISC_L4S_STEP_NON_ECN", "CAKE_FLOOD", "FQ_BAND_LIMIT",
		"FQ_HORIZON_LIMIT", "FQ_FLOW_LIMIT", "CPU_BACKLOG", "FULL_RING", "NOMEM", "PFMEMALLOC", "SKB_GSO_SEG",
		"FRAG_REASM_TIMEOUT", "FRAG_TOO_FAR", "DUALPI2_STEP_DROP", "TCP_REQQFULLDROP":
		return capacity, true

	case "PKT_TOO_SMALL", "TCP_CSUM", "UDP_CSUM", "IP_CSUM", "ICMP_CSUM", "SKB_CSUM", "IP_INHDR", "IP_RPFILTER",
		"TCP_AUTH_HDR", "TCP_MD5NOTFOUND", "TCP_MD5UNEXPECTED", "TCP_MD5FAILURE", "TCP_AONOTFOUND", "TCP_AOUNEXPECTED",
		"TCP_AOKEYNOTFOUND", "TCP_AOFAILURE", "IPV6DISABLED", "DEV_HDR", "DEV_READY", "HDR_TRUNC", "INVALID_PROTO",
		"IP_INVALID_SOURCE", "IP_INVALID_DEST", "IP_LOCAL_SOURCE", "IP_LOCALNET", "PKT_TOO_BIG", "IPV6_BAD_EXTHDR",
		"IPV6_NDISC_FRAG", "IPV6_NDISC_HOP_LIMIT", "IPV6_NDISC_BAD_CODE", "IPV6_NDISC_BAD_OPTIONS", "TC_COOKIE_ERROR",
		"TC_CHAIN_NOTFOUND", "TC_RECLASSIFY_LOOP", "VXLAN_INVALID_HDR", "VXLAN_VNI_NOT_FOUND", "MAC_INVALID_SOURCE",
		"IP_TUNNEL_ECN", "TUNNEL_TXINFO", "ARP_PVLAN_DISABLE", "BRIDGE_INGRESS_STP_STATE", "BRIDGE_NON_FORWARDING_STATE",
		"CAN_RX_INVALID_FRAME", "CANFD_RX_INVALID_FRAME", "CANXL_RX_INVALID_FRAME", "PSP_INPUT", "PSP_OUTPUT",
		"RECURSION_LIMIT":
		return config, true

	case "IP_OUTNOROUTES", "IP_INNOROUTES", "IP_INADDRERRORS", "NEIGH_FAILED", "NEIGH_DEAD", "NO_TX_TARGET",
		"VXLAN_ENTRY_EXISTS":
		return routing, true

	case "NO_SOCKET", "IP_NOPROTO", "TCP_ZEROWINDOW", "SKB_UCOPY_FAULT", "TCP_ABORT_ON_DATA":
		return application, true

	case "SKB_NOT_DROPPED_YET", "SKB_CONSUMED",
		// Copies for somebody else, and frames that nobody here speaks.
		"OTHERHOST", "UNICAST_IN_L2_MULTICAST", "UNHANDLED_PROTO", "LOCAL_MAC", "MAC_IEEE_MAC_CONTROL",
		"IPV6_NDISC_NS_OTHERHOST", "DUP_FRAG",
		// What a socket did not want, or still had when it was closed.
		"SOCKET_FILTER", "SOCKET_CLOSE", "QUEUE_PURGE", "PACKET_SOCK_ERROR", "UNIX_DISCONNECT", "UNIX_SKIP_OOB",
		// TCP doing its work: duplicates, reordering, ends of connections.
		"TCP_FLAGS", "TCP_OLD_DATA", "TCP_OVERWINDOW", "TCP_OFOMERGE", "TCP_RFC7323_PAWS", "TCP_RFC7323_PAWS_ACK",
		"TCP_RFC7323_TW_PAWS", "TCP_RFC7323_TSECR", "TCP_OLD_SEQUENCE", "TCP_INVALID_SEQUENCE",
		"TCP_INVALID_END_SEQUENCE", "TCP_INVALID_ACK_SEQUENCE", "TCP_RESET", "TCP_INVALID_SYN", "TCP_CLOSE",
		"TCP_FASTOPEN", "TCP_OLD_ACK", "TCP_TOO_OLD_ACK", "TCP_ACK_UNSENT_DATA":
		return benign, true
	}
	return "", false
}
