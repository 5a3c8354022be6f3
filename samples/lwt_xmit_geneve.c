// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends the packets of a route through Geneve over IPv4, without a Geneve device:
 *
 *	clang -O2 -g -target bpf -c lwt_xmit_geneve.c -o lwt_xmit_geneve.o
 *	ip route add 10.1.0.0/16 encap bpf xmit obj lwt_xmit_geneve.o \
 *		section lwt_xmit headroom 36 dev eth0
 *
 * Geneve carries the IP packet without an Ethernet header. The other end's device
 * accepts that if it inherits the protocol:
 *
 *	ip link add gnv1 type geneve id 42 remote 10.0.0.1 innerprotoinherit
 *	ip link set gnv1 up
 *
 * The UDP source port is a hash of the inner flow, so routers that balance by ports
 * spread the flows and keep each in order. "headroom" lowers the route's MTU by
 * what is pushed; without it, long packets are fragmented. If the route is in a VRF,
 * the outer header is routed in that VRF. Limits: one remote end for the route, no
 * Geneve options, no UDP checksum, DSCP and ECN are not copied.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* The ends of the tunnel. */
#ifndef LOCAL
#define LOCAL 0x0a000001	/* 10.0.0.1 */
#endif
#ifndef REMOTE
#define REMOTE 0x0a000002	/* 10.0.0.2 */
#endif
#ifndef VNI
#define VNI 42
#endif

#define GENEVE_PORT 6081
/* The dynamic ports, 0xc000 to 0xffff: 14 bits of the hash choose one. */
#define FIRST_DYNAMIC_PORT 0xc000

struct outer {
	struct iphdr ip;
	struct udphdr udp;
	struct {
		/* Version, length of the options, flags: all 0. */
		__be16 flags;
		__be16 protocol;
		__be32 vni;
	} geneve;
};

SEC("lwt_xmit") int geneve(struct __sk_buff *skb)
{
	__u32 hash = bpf_get_hash_recalc(skb);
	__u32 len = sizeof(struct outer) + skb->len;
	__u32 udp_len = len - sizeof(struct iphdr);
	struct outer outer = {
		.ip = {
			.version = 4,
			.ihl = sizeof(outer.ip) / 4,
			.ttl = 64,
			.protocol = IPPROTO_UDP,
			/* Fragments of two packets must not be taken for one. */
			.id = bpf_get_prandom_u32(),
			/* Segments that travel as one packet may be longer than this
			 * can say: 0 leaves the length to the kernel.
			 */
			.tot_len = len <= 0xffff ? bpf_htons(len) : 0,
			.saddr = bpf_htonl(LOCAL),
			.daddr = bpf_htonl(REMOTE),
			/* A checksum of 0 is filled in. */
		},
		.udp = {
			.source = bpf_htons(FIRST_DYNAMIC_PORT | hash >> 18),
			.dest = bpf_htons(GENEVE_PORT),
			.len = udp_len <= 0xffff ? bpf_htons(udp_len) : 0,
		},
		.geneve = {
			/* What is inside is what the packet was: IPv4 or IPv6. */
			.protocol = skb->protocol,
			.vni = bpf_htonl(VNI << 8),
		},
	};

	/* A packet that cannot be encapsulated must not leave as it is. */
	if (bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, &outer, sizeof(outer)))
		return BPF_DROP;
	return BPF_LWT_REROUTE;
}

char _license[] SEC("license") = "GPL";
