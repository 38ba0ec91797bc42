/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Reads a packet's headers, and finds the probe in it. */
#pragma once
#include "kernel.h"

enum protocol { OTHER, ICMP, TCP, UDP };
enum direction { FORWARD, REVERSE };

enum {
	ETH_HLEN = 14,
	ETH_P_IP = 0x0800,
	ETH_P_IPV6 = 0x86dd,

	IPPROTO_HOPOPTS = 0,
	IPPROTO_ICMP = 1,
	IPPROTO_IPIP = 4,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_IPV6 = 41,
	IPPROTO_ROUTING = 43,
	IPPROTO_FRAGMENT = 44,
	IPPROTO_ICMPV6 = 58,
	IPPROTO_DSTOPTS = 60,

	PORT_VXLAN = 4789,
	PORT_VXLAN_LINUX = 8472, /* the kernel's default, and flannel's */
	PORT_GENEVE = 6081,

	TCP_SYN = 0x02,
	TCP_ACK = 0x10,

	IP_BYTES = 40,      /* the fixed header of IPv6; IPv4's is shorter */
	PAYLOAD_BYTES = 20, /* as much of the next header as is looked at */
	MAX_LAYERS = 3,     /* probe in ICMP error in tunnel */
};

/* An IPv6 address, or an IPv4 address mapped into one. Big endian. */
struct address {
	__u32 word[4];
};

struct packet {
	struct address source; /* of the probe, not of a tunnel around it */
	struct address destination;
	__u8 protocol; /* enum protocol, of the outermost header */
	__u8 probe;     /* enum protocol; OTHER: not a probe */
	__u8 direction; /* enum direction */
	bool multicast;  /* the outermost header's destination is a group, or broadcast */
	bool syn;        /* the first segment of a connection */
	bool echo_reply;
	bool inner;      /* the probe is inside a tunnel, or quoted by an ICMP error */
};

/* One IP header. */
struct layer {
	__u8 protocol;
	bool v6;
	__u32 payload; /* offset from skb->head; 0: this is a later fragment */
};

static __always_inline __u16 port_at(const __u8 *p)
{
	return p[0] << 8 | p[1];
}

static __always_inline void copy4(struct address *to, const __u32 *from)
{
	to->word[0] = 0;
	to->word[1] = 0;
	to->word[2] = be32(0xffff);
	to->word[3] = from[0];
}

static __always_inline void copy6(struct address *to, const __u32 *from)
{
	to->word[0] = from[0];
	to->word[1] = from[1];
	to->word[2] = from[2];
	to->word[3] = from[3];
}

/* Where the IP header is: where the stack says, or after the Ethernet header
 * if the packet has not been in the stack yet. 0: nowhere. */
static __always_inline __u32 network_offset(struct sk_buff *skb)
{
	if (skb->protocol != be16(ETH_P_IP) && skb->protocol != be16(ETH_P_IPV6))
		return 0;
	if (skb->network_header)
		return skb->network_header;
	if (skb->mac_header != 0xffff)
		return skb->mac_header + ETH_HLEN;
	return 0;
}

static __always_inline bool is_multicast(const struct address *a, bool v6)
{
	__u32 first = be32(a->word[3]) >> 28;

	return v6 ? be32(a->word[0]) >> 24 == 0xff : first >= 0xe;
}

/* Steps over the first extension header, if it is one that can come before
 * what a probe has: RFC 8200. Packets with more than one are not probes. */
static __always_inline bool skip_extension(struct sk_buff *skb, struct layer *l)
{
	__u8 extension[8];
	__u8 kind = l->protocol;

	if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_FRAGMENT && kind != IPPROTO_DSTOPTS)
		return 1;
	if (l->payload + 8 > skb->tail || read_kernel(extension, 8, skb->head + l->payload))
		return 0;
	l->protocol = extension[0];
	if (kind != IPPROTO_FRAGMENT)
		l->payload += extension[1] * 8;
	else if (port_at(extension + 2) & 0xfff8)
		return l->payload = 0, 1;
	l->payload += 8;
	return 1;
}

/* RFC 791 and RFC 8200. Reading behind the packet's end does no harm, the
 * kernel keeps its own data there, and callers compare offsets with the end
 * before they believe it. */
static __always_inline bool parse_ip(struct sk_buff *skb, __u32 at, struct packet *p, struct layer *l)
{
	union {
		__u8 byte[IP_BYTES];
		__u32 word[IP_BYTES / 4];
	} ip;

	if (at + 20 > skb->tail || read_kernel(&ip, sizeof(ip), skb->head + at))
		return 0;
	l->v6 = ip.byte[0] >> 4 == 6;
	if (ip.byte[0] >> 4 == 4) {
		l->protocol = ip.byte[9];
		l->payload = (port_at(ip.byte + 6) & 0x1fff) ? 0 : at + (ip.byte[0] & 0x0f) * 4;
		copy4(&p->source, ip.word + 3);
		copy4(&p->destination, ip.word + 4);
		return 1;
	}
	if (!l->v6 || at + IP_BYTES > skb->tail)
		return 0;
	l->protocol = ip.byte[6];
	l->payload = at + IP_BYTES;
	copy6(&p->source, ip.word + 2);
	copy6(&p->destination, ip.word + 6);
	return skip_extension(skb, l);
}

/* RFC 792 and RFC 4443. Echoes of other programs lack the magic at the start
 * of the payload; where the payload is not at hand the addresses must do.
 * Returns the offset of the packet that an ICMP error quotes, or 0. */
static __always_inline __u32 parse_icmp(const __u8 *m, __u32 have, bool v6, struct packet *p)
{
	__u8 request = v6 ? 128 : 8, reply = v6 ? 129 : 0;

	if (have < 8)
		return 0;
	if (m[0] == request || m[0] == reply) {
		bool magic = m[8] == 'p' && m[9] == 'n' && m[10] == 'x' && m[11] == '1';

		p->echo_reply = m[0] == reply;
		p->direction = m[0] == reply ? REVERSE : FORWARD;
		p->probe = have < 12 || magic ? ICMP : OTHER;
		return 0;
	}
	if (v6)
		return m[0] >= 1 && m[0] <= 4 ? 8 : 0;
	return m[0] == 3 || m[0] == 11 || m[0] == 12 ? 8 : 0;
}

/* Returns the offset of the packet inside a tunnel's, or 0: RFC 7348, and
 * RFC 8926, whose options have a length in words. */
static __always_inline __u32 parse_ports(const __u8 *h, __u32 have, __u8 kind, __u16 responder, struct packet *p)
{
	if (have < 4)
		return 0;
	__u16 from = port_at(h), to = port_at(h + 2);

	if (to == responder || from == responder) {
		p->probe = kind;
		p->direction = to == responder ? FORWARD : REVERSE;
		p->syn = kind == TCP && have >= 14 && (h[13] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
		return 0;
	}
	if (kind != UDP)
		return 0;
	if (to == PORT_VXLAN || to == PORT_VXLAN_LINUX)
		return 8 + 8 + ETH_HLEN;
	if (to == PORT_GENEVE && have >= 9)
		return 8 + 8 + (h[8] & 0x3f) * 4 + ETH_HLEN;
	return 0;
}

static __always_inline __u8 protocol_of(__u8 ip)
{
	switch (ip) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return ICMP;
	case IPPROTO_TCP:
		return TCP;
	case IPPROTO_UDP:
		return UDP;
	}
	return OTHER;
}

/* Fills p, from the outermost header inwards until a probe is found. */
static __always_inline void parse(struct sk_buff *skb, struct packet *p, __u16 responder)
{
	__u32 at = network_offset(skb), tail = skb->tail;

	if (!at)
		return;
	for (int i = 0; i < MAX_LAYERS; i++) {
		__u8 next[PAYLOAD_BYTES];
		struct layer l;
		__u32 inner = 0;

		if (!parse_ip(skb, at, p, &l))
			return;
		__u8 kind = protocol_of(l.protocol);

		if (i == 0) {
			p->protocol = kind;
			p->multicast = is_multicast(&p->destination, l.v6);
		}
		if (!l.payload || l.payload >= tail)
			return;
		if (l.protocol == IPPROTO_IPIP || l.protocol == IPPROTO_IPV6) {
			at = l.payload;
			p->inner = 1;
			continue;
		}
		if (kind == OTHER || read_kernel(next, sizeof(next), skb->head + l.payload))
			return;
		if (kind == ICMP)
			inner = parse_icmp(next, tail - l.payload, l.v6, p);
		else
			inner = parse_ports(next, tail - l.payload, kind, responder, p);
		if (!inner)
			return;
		at = l.payload + inner;
		p->inner = 1;
	}
}
