// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits what each source may send: a token bucket for each IPv4 or IPv6 address.
 *
 *	clang -O2 -g -target bpf -c tc_police.c -o tc_police.o \
 *		-DRATE=1250000 -DBURST=131072
 *	tc qdisc add dev eth0 clsact
 *	tc filter add dev eth0 ingress bpf da obj tc_police.o sec tc
 *	bpftool map dump name buckets
 *
 * RATE is in bytes per second. BURST, in bytes, must exceed the longest packet, or that
 * never passes: 64 KB, because TCP segments travel as one packet. A packet within its limit
 * goes on to the next filter, others are dropped and counted. The first packet of a source
 * makes its bucket. When there are SOURCES of them, all other sources share one; "bpftool
 * map delete" makes room. Limits: a sender can forge addresses, and has many of IPv6.
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
/* Tokens are counted in the nanoseconds in which they are earned. */
#define COST(bytes) ((bytes) * NSEC_PER_SEC / (RATE))

/* One with zeros only is full at its first packet: the time since 0 is long enough. */
struct bucket {
	struct bpf_spin_lock lock;
	__u64 tokens;
	/* When tokens were last added. */
	__u64 time;
	__u64 dropped;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SOURCES);
	__type(key, struct in6_addr);
	__type(value, struct bucket);
} buckets SEC(".maps");

/* That of the sources for which there was no room. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bucket);
} others SEC(".maps");

/* The source, IPv4 mapped to IPv6; not 0 if there is none. */
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
	/* Another processor may be first: then it is there as well. */
	bpf_map_update_elem(&buckets, from, &full, BPF_NOEXIST);
	bucket = bpf_map_lookup_elem(&buckets, from);
	return bucket ?: bpf_map_lookup_elem(&others, &first);
}

/* Whether there are tokens for a packet, which are then taken. */
static int take(struct bucket *bucket, __u64 cost)
{
	/* No helper may be called with the lock held. */
	__u64 now = bpf_ktime_get_ns();
	int enough;

	bpf_spin_lock(&bucket->lock);
	/* Another processor may have looked at the clock later and been here before. */
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

	/* What is not IP keeps the network alive. */
	if (source(skb, &from))
		return TC_ACT_UNSPEC;
	bucket = bucket_of(&from);
	if (bucket && !take(bucket, COST(skb->wire_len)))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
