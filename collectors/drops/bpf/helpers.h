/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* The few kernel helpers and map declarations that drops.c uses. Numbers are
 * those of enum bpf_func_id in include/uapi/linux/bpf.h, and never change. */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef _Bool bool;

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __core __attribute__((preserve_access_index))

/* Stops the compiler from making a second copy of a value after it was
 * compared: the verifier knows only the copy that was compared. */
#define keep(value) asm volatile("" : "+r"(value))

/* Fields of a map definition in BTF. */
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
};

enum {
	BPF_NOEXIST = 1,        /* flag of an update */
	BPF_F_NO_PREALLOC = 1, /* flag of a map */
};

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const map_update)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static long (*const read_kernel)(void *to, __u32 size, const void *from) = (void *)113;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define be16(x) __builtin_bswap16(x)
#define be32(x) __builtin_bswap32(x)
#else
#define be16(x) (x)
#define be32(x) (x)
#endif
