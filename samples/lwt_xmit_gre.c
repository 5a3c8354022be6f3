// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends the packets of a route through a GRE tunnel, without a tunnel device:
 *
 *	clang -O2 -g -target bpf -c lwt_xmit_gre.c -o lwt_xmit_gre.o
 *	ip route add 10.1.0.0/16 encap bpf xmit obj lwt_xmit_gre.o \
 *		section lwt_xmit headroom 24 dev eth0
 *
 * The other end has a tunnel device ("ip link add gre1 type gre ...") that takes
 * the header off again. "headroom" lowers the route's MTU by what is pushed.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* The ends of the tunnel. */
#ifndef LOCAL
#define LOCAL 0x0a000001	/* 10.0.0.1 */
#endif
#ifndef REMOTE
#define REMOTE 0x0a000002	/* 10.0.0.2 */
#endif

struct outer {
	struct iphdr ip;
	struct {
		__be16 flags;
		__be16 protocol;
	} gre;
};

SEC("lwt_xmit") int gre(struct __sk_buff *skb)
{
	__u32 len = sizeof(struct outer) + skb->len;
	struct outer outer = {
		.ip = {
			.version = 4,
			.ihl = sizeof(outer.ip) / 4,
			.ttl = 64,
			.protocol = IPPROTO_GRE,
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
		/* What is inside is what the packet was: IPv4 or IPv6. */
		.gre = { .protocol = skb->protocol },
	};

	/* A packet that cannot be encapsulated must not leave as it is. */
	if (bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, &outer, sizeof(outer)))
		return BPF_DROP;
	return BPF_LWT_REROUTE;
}

char _license[] SEC("license") = "GPL";
