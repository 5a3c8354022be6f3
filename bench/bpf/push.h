/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pushes a header and reroutes. SECTION is the program type, OUTER is 4 or 6, TUNNEL is
 * IPPROTO_IPIP, IPPROTO_GRE or IPPROTO_UDP. With EACH every packet goes to another
 * address of 10.10.0.0/16 or fd0a::/112. Unlike in samples/lwt_xmit_gre.c, no packet
 * exceeds the 16 bits of the length fields.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct outer {
#if OUTER == 4
	struct iphdr ip;
#else
	struct ipv6hdr ip;
#endif
#if TUNNEL == IPPROTO_UDP
	struct udphdr udp;
	__u8 gue[4];
#elif TUNNEL == IPPROTO_GRE
	__be16 gre[2];
#endif
};

#ifdef EACH
static __u16 packets;
#endif

SEC(SECTION) int push(struct __sk_buff *skb)
{
	struct outer outer = {
#if OUTER == 4
		.ip = {
			.version = 4,
			.ihl = 5,
			.ttl = 64,
			.protocol = TUNNEL,
			.tot_len = bpf_htons(sizeof(outer) + skb->len),
			.saddr = bpf_htonl(0x0a070001),
			.daddr = bpf_htonl(0x0a020002),
		},
#else
		.ip = {
			.version = 6,
			.hop_limit = 64,
			.nexthdr = TUNNEL,
			.payload_len = bpf_htons(sizeof(outer) - sizeof(outer.ip) + skb->len),
			.saddr.s6_addr = { 0xfd, 7, [15] = 1 },
			.daddr.s6_addr = { 0xfd, 2, [15] = 2 },
		},
#endif
#if TUNNEL == IPPROTO_UDP
		.udp = {
			.source = bpf_htons(5555),
			.dest = bpf_htons(6080),
			.len = bpf_htons(sizeof(outer) - sizeof(outer.ip) + skb->len),
		},
		.gue = { 0, IPPROTO_IPIP },
#elif TUNNEL == IPPROTO_GRE
		.gre = { 0, skb->protocol },
#endif
	};

#ifdef EACH
#if OUTER == 4
	outer.ip.daddr = bpf_htonl(0x0a0a0000 | ++packets);
#else
	outer.ip.daddr.s6_addr[1] = 0x0a;
	outer.ip.daddr.s6_addr16[7] = bpf_htons(++packets);
#endif
#endif
	if (bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, &outer, sizeof(outer)))
		return BPF_DROP;
	return BPF_LWT_REROUTE;
}

char _license[] SEC("license") = "GPL";
