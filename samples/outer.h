/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The outer headers that the sample tunnels share: IPv4 from LOCAL to REMOTE, and UDP
 * with a source port per flow.
 */
#ifndef _OUTER_H
#define _OUTER_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* The tunnel endpoints. */
#ifndef LOCAL
#define LOCAL 0x0a000001	/* 10.0.0.1 */
#endif
#ifndef REMOTE
#define REMOTE 0x0a000002	/* 10.0.0.2 */
#endif

/* The dynamic ports, 0xc000 to 0xffff: 14 bits of the hash select one. */
#define FIRST_DYNAMIC_PORT 0xc000

/*
 * A length field in network byte order. A GSO packet may exceed 16 bits: with 0 the
 * kernel fills in the length.
 */
static __always_inline __be16 outer_len(__u32 len)
{
	return len <= 0xffff ? bpf_htons(len) : 0;
}

/* An IPv4 header; "len" is the length of the packet with all pushed headers. */
static __always_inline struct iphdr outer_ip(__u8 protocol, __u32 len)
{
	return (struct iphdr) {
		.version = 4,
		.ihl = sizeof(struct iphdr) / 4,
		.ttl = 64,
		.protocol = protocol,
		/* Fragments of different packets must not be reassembled into one. */
		.id = bpf_get_prandom_u32(),
		.tot_len = outer_len(len),
		.saddr = bpf_htonl(LOCAL),
		.daddr = bpf_htonl(REMOTE),
		/* The kernel fills in a checksum of 0. */
	};
}

/* The UDP header that follows. */
static __always_inline struct udphdr outer_udp(struct __sk_buff *skb, __u16 port, __u32 len)
{
	return (struct udphdr) {
		.source = bpf_htons(FIRST_DYNAMIC_PORT | bpf_get_hash_recalc(skb) >> 18),
		.dest = bpf_htons(port),
		.len = outer_len(len - sizeof(struct iphdr)),
	};
}

/* Pushes the headers. A packet that cannot be encapsulated must not leave unencapsulated. */
static __always_inline int outer_push(struct __sk_buff *skb, void *outer, __u32 len)
{
	if (bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, outer, len))
		return BPF_DROP;
	return BPF_LWT_REROUTE;
}

#endif /* _OUTER_H */
