// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that randomly drop and count packets, mark them, push headers, or
 * redirect them. A packet of the test ends in MAGIC, whatever headers it has, or in
 * zeros if pktgen has made it. ICMP messages that quote such a packet are passed.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAGIC 0x6c777463
/* One packet in this many is chosen. */
#define ONE_OF 8
/* A rule selects a route by this mark. */
#define MARK 7
/* Interface indices: a permanent device, and the first of those that are deleted again. */
#define SINK 9000
#define FIRST_DUMMY 10000
#define DUMMIES 4

enum { DROPPED_BY_TC, DROPPED_BY_LWT, PUSHED, REROUTED, REDIRECTED, COUNTERS };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline void add(__u32 key)
{
	__u64 *counter = bpf_map_lookup_elem(&counters, &key);

	if (counter)
		__sync_fetch_and_add(counter, 1);
}

static __always_inline int is_of_the_test(struct __sk_buff *skb, __u32 network)
{
	__u8 version, protocol, icmp;
	__be32 last;

	if (bpf_skb_load_bytes(skb, network, &version, 1))
		return 0;
	if (version >> 4 == 4) {
		network += offsetof(struct iphdr, protocol);
		icmp = IPPROTO_ICMP;
	} else {
		network += offsetof(struct ipv6hdr, nexthdr);
		icmp = IPPROTO_ICMPV6;
	}
	if (bpf_skb_load_bytes(skb, network, &protocol, 1) || protocol == icmp)
		return 0;
	if (bpf_skb_load_bytes(skb, skb->len - 4, &last, 4))
		return 0;
	return last == bpf_htonl(MAGIC) || !last;
}

static __always_inline int chosen(struct __sk_buff *skb, __u32 network)
{
	return bpf_get_prandom_u32() % ONE_OF == 0 && is_of_the_test(skb, network);
}

/* Without direct action it matches all packets, with direct action none. */
SEC("tc") int tc_all(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

SEC("tc") int tc_drop(struct __sk_buff *skb)
{
	if (!chosen(skb, ETH_HLEN))
		return TC_ACT_UNSPEC;
	add(DROPPED_BY_TC);
	return TC_ACT_SHOT;
}

/* For a filter whose action drops the matches. */
SEC("tc") int tc_match(struct __sk_buff *skb)
{
	if (!chosen(skb, ETH_HLEN))
		return 0;
	add(DROPPED_BY_TC);
	return -1;
}

/* The device may not exist. */
SEC("tc") int tc_redirect(struct __sk_buff *skb)
{
	if (!chosen(skb, ETH_HLEN))
		return TC_ACT_UNSPEC;
	add(REDIRECTED);
	return bpf_redirect(FIRST_DUMMY + bpf_get_prandom_u32() % DUMMIES, 0);
}

static __always_inline int drop(struct __sk_buff *skb)
{
	if (!chosen(skb, 0))
		return BPF_OK;
	add(DROPPED_BY_LWT);
	return BPF_DROP;
}

static __always_inline int reroute(struct __sk_buff *skb)
{
	/* A packet with the mark has been rerouted already. */
	if (!is_of_the_test(skb, 0) || skb->mark == MARK)
		return BPF_OK;
	add(REROUTED);
	skb->mark = MARK;
	return BPF_LWT_REROUTE;
}

SEC("lwt_in") int in_drop(struct __sk_buff *skb)
{
	return drop(skb);
}

SEC("lwt_in") int in_reroute(struct __sk_buff *skb)
{
	return reroute(skb);
}

SEC("lwt_out") int out_drop(struct __sk_buff *skb)
{
	return drop(skb);
}

SEC("lwt_xmit") int xmit_drop(struct __sk_buff *skb)
{
	return drop(skb);
}

SEC("lwt_xmit") int xmit_reroute(struct __sk_buff *skb)
{
	return reroute(skb);
}

SEC("lwt_xmit") int xmit_redirect(struct __sk_buff *skb)
{
	struct ethhdr eth = { .h_proto = skb->protocol };

	if (!chosen(skb, 0))
		return BPF_OK;
	if (bpf_skb_change_head(skb, sizeof(eth), 0) ||
	    bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0)) {
		add(DROPPED_BY_LWT);
		return BPF_DROP;
	}
	add(REDIRECTED);
	return bpf_redirect(SINK, 0);
}

static __always_inline int push(struct __sk_buff *skb, void *header, __u32 len)
{
	if (!is_of_the_test(skb, 0))
		return BPF_OK;
	if (bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, header, len)) {
		add(DROPPED_BY_LWT);
		return BPF_DROP;
	}
	add(PUSHED);
	return BPF_LWT_REROUTE;
}

struct gre {
	__be16 flags;
	__be16 protocol;
};

SEC("lwt_xmit") int xmit_gre(struct __sk_buff *skb)
{
	struct {
		struct iphdr ip;
		struct gre gre;
	} outer = {
		.ip = {
			.version = 4,
			.ihl = 5,
			.ttl = 64,
			.protocol = IPPROTO_GRE,
			.tot_len = bpf_htons(sizeof(outer) + skb->len),
			.saddr = bpf_htonl(0x0a000001),
			.daddr = bpf_htonl(0x0a000002),
		},
		.gre = { .protocol = skb->protocol },
	};

	return push(skb, &outer, sizeof(outer));
}

SEC("lwt_xmit") int xmit_gre6(struct __sk_buff *skb)
{
	struct {
		struct ipv6hdr ip;
		struct gre gre;
	} outer = {
		.ip = {
			.version = 6,
			.hop_limit = 64,
			.nexthdr = IPPROTO_GRE,
			.payload_len = bpf_htons(sizeof(outer.gre) + skb->len),
			.saddr.s6_addr = { 0xfd, [15] = 1 },
			.daddr.s6_addr = { 0xfd, [15] = 2 },
		},
		.gre = { .protocol = skb->protocol },
	};

	return push(skb, &outer, sizeof(outer));
}

char _license[] SEC("license") = "GPL";
