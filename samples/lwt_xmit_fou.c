// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends the packets of a route in UDP (FOU: IP in IP with a UDP header in between). The
 * UDP source port is a hash of the inner flow, so routers that balance by ports spread
 * the flows.
 *
 *	clang -O2 -g -target bpf -c lwt_xmit_fou.c -o lwt_xmit_fou.o
 *	ip route add 10.1.0.0/16 encap bpf xmit obj lwt_xmit_fou.o \
 *		section lwt_xmit headroom 28 dev eth0
 *
 * At the remote end "gue" determines the family of a packet without a GUE header, and
 * passes it to the tunnel of that family (for IPv4 alone "ipproto 4" works, too):
 *
 *	ip fou add port 5555 gue
 *	ip link add ipip1 type ipip local 10.0.0.2 remote 10.0.0.1
 *	ip link add sit1 type sit local 10.0.0.2 remote 10.0.0.1
 *	ip link set ipip1 up
 *	ip link set sit1 up
 *
 * "headroom" lowers the route's MTU by the length of the pushed headers; without it,
 * long packets are fragmented. If the route is in a VRF, the outer header is routed in
 * that VRF. Limits: one remote end per route, no UDP checksum, DSCP and ECN are not
 * copied.
 */
#include "outer.h"

#ifndef FOU_PORT
#define FOU_PORT 5555
#endif

struct outer {
	struct iphdr ip;
	struct udphdr udp;
};

SEC("lwt_xmit") int fou(struct __sk_buff *skb)
{
	__u32 len = sizeof(struct outer) + skb->len;
	struct outer outer = {
		.ip = outer_ip(IPPROTO_UDP, len),
		.udp = outer_udp(skb, FOU_PORT, len),
	};

	return outer_push(skb, &outer, sizeof(outer));
}

char _license[] SEC("license") = "GPL";
