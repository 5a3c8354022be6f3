// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends the packets of a route in UDP (FOU: IP in IP with a UDP header between), so
 * that routers which balance by ports spread the flows: the UDP source port is a hash
 * of the inner flow.
 *
 *	clang -O2 -g -target bpf -c lwt_xmit_fou.c -o lwt_xmit_fou.o
 *	ip route add 10.1.0.0/16 encap bpf xmit obj lwt_xmit_fou.o \
 *		section lwt_xmit headroom 28 dev eth0
 *
 * At the other end "gue" reads from a packet without a GUE header whether it is IPv4
 * or IPv6, and hands it to that family's tunnel (for IPv4 alone, "ipproto 4" does too):
 *
 *	ip fou add port 5555 gue
 *	ip link add ipip1 type ipip local 10.0.0.2 remote 10.0.0.1
 *	ip link add sit1 type sit local 10.0.0.2 remote 10.0.0.1
 *	ip link set ipip1 up
 *	ip link set sit1 up
 *
 * "headroom" lowers the route's MTU by what is pushed; without it, long packets are
 * fragmented. If the route is in a VRF, the outer header is routed in that VRF. Limits:
 * one remote end for the route, no UDP checksum, DSCP and ECN are not copied.
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
#ifndef FOU_PORT
#define FOU_PORT 5555
#endif

/* The dynamic ports, 0xc000 to 0xffff: 14 bits of the hash choose one. */
#define FIRST_DYNAMIC_PORT 0xc000

struct outer {
	struct iphdr ip;
	struct udphdr udp;
};

SEC("lwt_xmit") int fou(struct __sk_buff *skb)
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
			.dest = bpf_htons(FOU_PORT),
			.len = udp_len <= 0xffff ? bpf_htons(udp_len) : 0,
		},
	};

	/* A packet that cannot be encapsulated must not leave as it is. */
	if (bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, &outer, sizeof(outer)))
		return BPF_DROP;
	return BPF_LWT_REROUTE;
}

char _license[] SEC("license") = "GPL";
