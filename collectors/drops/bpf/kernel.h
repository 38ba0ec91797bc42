/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* The kernel's structures, cut down to the fields that drops.c reads. Their
 * offsets are those of the running kernel: the loader fills them in (CO-RE). */
#pragma once
#include "helpers.h"

struct ns_common {
	__u32 inum;
} __core;

struct net {
	struct ns_common ns;
} __core;

typedef struct {
	struct net *net;
} __core possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} __core;

struct dst_entry {
	struct net_device *dev;
} __core;

struct sock_common {
	__u16 skc_family;
	possible_net_t skc_net;
} __core;

struct sock {
	struct sock_common __sk_common;
} __core;

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	__u32 len;
	int skb_iif;
	__u16 protocol; /* big endian */
	__u16 network_header;
	__u16 mac_header;
	__u32 tail; /* an offset from head on every 64-bit kernel */
	unsigned char *head;
} __core;
