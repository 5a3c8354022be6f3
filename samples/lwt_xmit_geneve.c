// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends the packets of a route through Geneve over IPv4, without a Geneve device:
 *
 *	clang -O2 -g -target bpf -c lwt_xmit_geneve.c -o lwt_xmit_geneve.o
 *	ip route add 10.1.0.0/16 encap bpf xmit obj lwt_xmit_geneve.o \
 *		section lwt_xmit headroom 36 dev eth0
 *
 * Geneve carries the IP packet without an Ethernet header. The remote device accepts
 * that with "innerprotoinherit":
 *
 *	ip link add gnv1 type geneve id 42 remote 10.0.0.1 innerprotoinherit
 *	ip link set gnv1 up
 *
 * The UDP source port is a hash of the inner flow, so routers that balance by ports
 * spread the flows and keep each in order. "headroom" lowers the route's MTU by the
 * length of the pushed headers; without it, long packets are fragmented. If the route
 * is in a VRF, the outer header is routed in that VRF. Limits: one remote end per
 * route, no Geneve options, no UDP checksum, DSCP and ECN are not copied.
 */
#include "outer.h"

#ifndef VNI
#define VNI 42
#endif

#define GENEVE_PORT 6081

struct outer {
	struct iphdr ip;
	struct udphdr udp;
	struct {
		/* Version, option length, flags: all 0. */
		__be16 flags;
		__be16 protocol;
		__be32 vni;
	} geneve;
};

SEC("lwt_xmit") int geneve(struct __sk_buff *skb)
{
	__u32 len = sizeof(struct outer) + skb->len;
	struct outer outer = {
		.ip = outer_ip(IPPROTO_UDP, len),
		.udp = outer_udp(skb, GENEVE_PORT, len),
		.geneve = {
			/* The protocol of the inner packet: IPv4 or IPv6. */
			.protocol = skb->protocol,
			.vni = bpf_htonl(VNI << 8),
		},
	};

	return outer_push(skb, &outer, sizeof(outer));
}

char _license[] SEC("license") = "GPL";
