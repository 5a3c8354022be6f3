// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits the rate of each source: a token bucket per IPv4 or IPv6 address.
 *
 *	clang -O2 -g -target bpf -c tc_police.c -o tc_police.o \
 *		-DRATE=1250000 -DBURST=131072
 *	tc qdisc add dev eth0 clsact
 *	tc filter add dev eth0 ingress bpf da obj tc_police.o sec tc
 *	bpftool map dump name buckets
 *
 * RATE is in bytes per second. BURST, in bytes, must exceed the longest packet, 64 KB for
 * GSO, or such a packet never passes. A packet within the limit goes on to the next filter,
 * others are dropped and counted. The first packet of a source creates its bucket. When
 * there are SOURCES buckets, all further sources share one; "bpftool map delete" frees
 * entries. Limits: a sender can forge addresses, and may have many IPv6 addresses.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#ifndef RATE
#define RATE 1250000	/* 10 Mbit/s */
#endif
#ifndef BURST
#define BURST 131072
#endif
#ifndef SOURCES
#define SOURCES 16384
#endif

#define NSEC_PER_SEC 1000000000ULL
/* Tokens are in nanoseconds: the time in which the bytes are earned. */
#define COST(bytes) ((bytes) * NSEC_PER_SEC / (RATE))

/* An all-zero bucket is full at its first packet: the time since 0 exceeds COST(BURST). */
struct bucket {
	struct bpf_spin_lock lock;
	__u64 tokens;
	/* When tokens were last added, in nanoseconds. */
	__u64 time;
	__u64 dropped;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SOURCES);
	__type(key, struct in6_addr);
	__type(value, struct bucket);
} buckets SEC(".maps");

/* The shared bucket of the sources that did not fit into "buckets". */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bucket);
} others SEC(".maps");

/* Reads the source, IPv4 mapped to IPv6; returns nonzero if there is none. */
static int source(struct __sk_buff *skb, struct in6_addr *from)
{
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		from->s6_addr16[5] = 0xffff;
		return bpf_skb_load_bytes_relative(skb, offsetof(struct iphdr, saddr),
						   &from->s6_addr32[3], sizeof(__be32),
						   BPF_HDR_START_NET);
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return bpf_skb_load_bytes_relative(skb, offsetof(struct ipv6hdr, saddr),
						   from, sizeof(*from), BPF_HDR_START_NET);
	return -1;
}

static struct bucket *bucket_of(struct in6_addr *from)
{
	struct bucket full = {}, *bucket;
	__u32 first = 0;

	bucket = bpf_map_lookup_elem(&buckets, from);
	if (bucket)
		return bucket;
	/* If another CPU inserts it first, the lookup finds that one. */
	bpf_map_update_elem(&buckets, from, &full, BPF_NOEXIST);
	bucket = bpf_map_lookup_elem(&buckets, from);
	return bucket ?: bpf_map_lookup_elem(&others, &first);
}

/* Takes the tokens for a packet; returns 0 if there are not enough. */
static int take(struct bucket *bucket, __u64 cost)
{
	/* The verifier allows no helper call with the lock held. */
	__u64 now = bpf_ktime_get_ns();
	int enough;

	bpf_spin_lock(&bucket->lock);
	/* A CPU that read the clock later may have taken the lock earlier. */
	if (now > bucket->time) {
		bucket->tokens += now - bucket->time;
		bucket->time = now;
	}
	if (bucket->tokens > COST(BURST))
		bucket->tokens = COST(BURST);
	enough = bucket->tokens >= cost;
	if (enough)
		bucket->tokens -= cost;
	else
		bucket->dropped++;
	bpf_spin_unlock(&bucket->lock);
	return enough;
}

SEC("tc") int police(struct __sk_buff *skb)
{
	struct in6_addr from = {};
	struct bucket *bucket;

	/* ARP and other non-IP packets pass. */
	if (source(skb, &from))
		return TC_ACT_UNSPEC;
	bucket = bucket_of(&from);
	if (bucket && !take(bucket, COST(skb->wire_len)))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
