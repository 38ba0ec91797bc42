// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/*
 * Counts the packets that the kernel frees because it drops them.
 *
 * Attached to the tracepoint skb:kfree_skb (include/trace/events/skb.h), whose
 * reason argument exists since Linux 5.17 and whose rx_sk exists since 6.11.
 * A packet counts when it died in a network namespace of this node. Packets
 * that were sent to measure the network are counted a second time, with the
 * kernel function that dropped them and the two nodes that they ran between.
 */
#include "kernel.h"
#include "packet.h"

enum {
	MAX_DROPS = 4096,
	MAX_PROBES = 2048,
	MAX_NETNS = 4096,
	MAX_ADDRESSES = 65536,
};

enum { AF_INET = 2, AF_INET6 = 10 };

/* What user space knows of a reason by its name, for reasons below 256. */
enum reason_flag {
	REASON_IGNORED = 1,   /* not a drop */
	REASON_BENIGN = 2,    /* goes on in healthy networks: never a lost probe */
	REASON_NO_SOCKET = 4, /* nobody listens */
};

volatile const __u8 reason_flags[256] = {};
volatile const __u16 responder_port = 9798;
volatile const bool has_rx_sk = 0;

struct drop_key {
	__u32 netns; /* inode number */
	__u32 ifindex;
	__u32 reason;
	__u8 protocol; /* enum protocol */
	bool multicast;
	__u16 pad;
};

struct probe_key {
	__u64 location; /* the caller of kfree_skb */
	__u32 netns;
	__u32 ifindex;
	__u32 reason;
	__u32 source_node; /* who probes, whichever way the packet went; 0: unknown */
	__u32 peer_node;
	enum protocol probe;
	enum direction direction;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_DROPS);
	__type(key, struct drop_key);
	__type(value, __u64);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_PROBES);
	__type(key, struct probe_key);
	__type(value, __u64);
} probe_drops SEC(".maps");

/* Drops that found their map full: of drops at 0, of probe_drops at 1. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} overflow SEC(".maps");

/* The network namespaces of this node, by inode number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_NETNS);
	__type(key, __u32);
	__type(value, __u8);
} netns SEC(".maps");

/* The addresses of the mesh, and the number, from 1, of the node that has each. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ADDRESSES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address);
	__type(value, __u32);
} mesh SEC(".maps");

struct place {
	__u32 netns;
	__u32 ifindex;
};

enum owner { UNKNOWN, OURS, FOREIGN };

/* Inode numbers of namespaces come from the top of the 32-bit range (kernel:
 * include/linux/proc_ns.h). Anything else was read through a field that is a
 * pointer only at other times: skb->dev of a queued packet is one. */
static __always_inline enum owner owner(__u32 inode)
{
	if (map_lookup(&netns, &inode))
		return OURS;
	return inode >= 0xef000000 ? FOREIGN : UNKNOWN;
}

/* Other families' buffers, netlink's and Unix sockets', are not packets. */
static __always_inline enum owner owner_of_socket(struct sock *sk, struct place *at)
{
	__u16 family = sk->__sk_common.skc_family;

	if (family != AF_INET && family != AF_INET6)
		return UNKNOWN;
	at->netns = sk->__sk_common.skc_net.net->ns.inum;
	return owner(at->netns);
}

/* The route of a packet, for what is not known by its device or socket. */
static __always_inline bool locate_by_route(struct sk_buff *skb, enum owner who, struct place *at)
{
	struct dst_entry *dst = (void *)(skb->_skb_refdst & ~7UL);
	struct net_device *out = 0;
	struct net *net = 0;

	if (!dst)
		return who == OURS;
	read_kernel(&out, sizeof(out), &dst->dev);
	if (who != OURS) {
		read_kernel(&net, sizeof(net), &out->nd_net.net);
		read_kernel(&at->netns, sizeof(at->netns), &net->ns.inum);
		if (owner(at->netns) != OURS)
			return 0;
	}
	if (!at->ifindex)
		read_kernel(&at->ifindex, sizeof(at->ifindex), &out->ifindex);
	return 1;
}

/* The namespace and the interface where the packet died: those of its device;
 * of a packet that has none any more, or none yet, the namespace of its socket
 * or route, and the interface it came in by or was to leave by. */
static __always_inline bool locate(struct sk_buff *skb, struct sock *rx_sk, struct place *at)
{
	struct net_device *dev = skb->dev;
	struct sock *sk = skb->sk;
	enum owner who = UNKNOWN;

	keep(sk);

	if (dev) {
		at->netns = dev->nd_net.net->ns.inum;
		who = owner(at->netns);
		if (who == OURS)
			at->ifindex = dev->ifindex;
		if (who != UNKNOWN)
			return who == OURS;
	}
	if (rx_sk)
		who = owner_of_socket(rx_sk, at);
	if (who == UNKNOWN && sk)
		who = owner_of_socket(sk, at);
	if (who == FOREIGN)
		return 0;

	at->ifindex = skb->skb_iif;
	if (who == OURS && at->ifindex)
		return 1;
	return locate_by_route(skb, who, at);
}

static __always_inline void count(void *map, const void *key, __u32 number)
{
	__u64 one = 1, *packets = map_lookup(map, key);

	if (packets) {
		*packets += 1;
		return;
	}
	if (!map_update(map, key, &one, BPF_NOEXIST))
		return;
	packets = map_lookup(map, key); /* another CPU was first, or the map is full */
	if (!packets)
		packets = map_lookup(&overflow, &number);
	if (packets)
		*packets += 1;
}

/* A packet to a closed port says so by its first segment. What comes after a
 * connection was closed meets no socket either, in healthy networks too. */
static __always_inline bool is_lost(const struct packet *p, __u8 flags)
{
	if (flags & REASON_BENIGN)
		return 0;
	if (flags & REASON_NO_SOCKET && !p->inner)
		return p->direction == FORWARD && (p->probe != TCP || p->syn);
	return 1;
}

/* The probed node must be one of the mesh. The probing one need not be known:
 * it may have sent from an address of another interface than the mesh knows. */
static __always_inline void count_probe(const struct packet *p, const struct place *at, __u32 reason, __u64 location)
{
	bool forward = p->direction == FORWARD;
	__u32 *source = map_lookup(&mesh, forward ? &p->source : &p->destination);
	__u32 *peer = map_lookup(&mesh, forward ? &p->destination : &p->source);

	if (!peer)
		return;
	struct probe_key key = {
		.location = location,
		.netns = at->netns,
		.ifindex = at->ifindex,
		.reason = reason,
		.source_node = source ? *source : 0,
		.peer_node = *peer,
		.probe = p->probe,
		.direction = p->direction,
	};
	count(&probe_drops, &key, 1);
}

static __always_inline __u8 flags_of(__u64 reason)
{
	keep(reason);
	return reason < sizeof(reason_flags) ? reason_flags[reason] : 0;
}

/* Drivers free buffers that never held a packet. One without payload, whose
 * headers were taken off, still has its protocol. */
static __always_inline bool is_empty(struct sk_buff *skb)
{
	return !skb->len && !skb->protocol;
}

SEC("tp_btf/kfree_skb")
int kfree_skb(__u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	__u64 location = ctx[1];
	__u32 reason = ctx[2];
	struct sock *rx_sk = has_rx_sk ? (void *)ctx[3] : 0;
	__u8 flags = flags_of(reason);
	struct place at = {};
	struct packet p = {};

	if (flags & REASON_IGNORED || is_empty(skb) || !locate(skb, rx_sk, &at))
		return 0;
	parse(skb, &p, responder_port);

	/* Raw sockets take echo replies before the kernel looks for a ping socket
	 * and frees the reply with this reason: it has arrived. */
	if (flags & REASON_NO_SOCKET && p.echo_reply && !p.inner)
		return 0;

	struct drop_key key = {
		.netns = at.netns,
		.ifindex = at.ifindex,
		.reason = reason,
		.protocol = p.protocol,
		.multicast = p.multicast,
	};
	count(&drops, &key, 0);
	if (p.probe && is_lost(&p, flags))
		count_probe(&p, &at, reason, location);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
