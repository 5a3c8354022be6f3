// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends the packets of a route through a GRE tunnel, without a tunnel device:
 *
 *	clang -O2 -g -target bpf -c lwt_xmit_gre.c -o lwt_xmit_gre.o
 *	ip route add 10.1.0.0/16 encap bpf xmit obj lwt_xmit_gre.o \
 *		section lwt_xmit headroom 24 dev eth0
 *
 * The remote end decapsulates with a tunnel device ("ip link add gre1 type gre ...").
 * "headroom" lowers the route's MTU by the length of the pushed headers.
 */
#include "outer.h"

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
		.ip = outer_ip(IPPROTO_GRE, len),
		/* The protocol of the inner packet: IPv4 or IPv6. */
		.gre = { .protocol = skb->protocol },
	};

	return outer_push(skb, &outer, sizeof(outer));
}

char _license[] SEC("license") = "GPL";
