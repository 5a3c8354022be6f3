// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends the packets of a route through VXLAN over IPv4, without a VXLAN device:
 *
 *	clang -O2 -g -target bpf -c lwt_xmit_vxlan.c -o lwt_xmit_vxlan.o
 *	ip route add 10.1.0.0/16 encap bpf xmit obj lwt_xmit_vxlan.o \
 *		section lwt_xmit headroom 50 dev eth0
 *
 * The remote end has a VXLAN device with MAC address FAR_MAC:
 *
 *	ip link add vx1 address 02:00:00:00:00:42 type vxlan id 42 \
 *		local 10.0.0.2 dstport 4789
 *	ip link set vx1 up
 *
 * The UDP source port is a hash of the inner flow, so routers that balance by ports
 * spread the flows and keep each in order. "headroom" lowers the route's MTU by the
 * length of the pushed headers; without it, long packets are fragmented. If the route
 * is in a VRF, the outer header is routed in that VRF. Limits: one remote end per
 * route, no UDP checksum, DSCP and ECN are not copied.
 */
#include <linux/if_ether.h>
#include <stddef.h>
#include "outer.h"

#ifndef VNI
#define VNI 42
#endif
/* The inner MAC addresses. A host ignores frames for another address. */
#ifndef FAR_MAC
#define FAR_MAC { 0x02, 0, 0, 0, 0, 0x42 }
#endif
#ifndef NEAR_MAC
#define NEAR_MAC { 0x02, 0, 0, 0, 0, 0x41 }
#endif

#define VXLAN_PORT 4789
#define VXLAN_HAS_VNI 0x08000000

struct outer {
	struct iphdr ip;
	struct udphdr udp;
	struct {
		__be32 flags;
		__be32 vni;
	} vxlan;
	struct ethhdr ethernet;
};

/* sizeof() would include the padding behind the Ethernet header. */
#define OUTER_LEN (offsetof(struct outer, ethernet) + ETH_HLEN)

SEC("lwt_xmit") int vxlan(struct __sk_buff *skb)
{
	__u32 len = OUTER_LEN + skb->len;
	struct outer outer = {
		.ip = outer_ip(IPPROTO_UDP, len),
		.udp = outer_udp(skb, VXLAN_PORT, len),
		.vxlan = {
			.flags = bpf_htonl(VXLAN_HAS_VNI),
			.vni = bpf_htonl(VNI << 8),
		},
		.ethernet = {
			.h_dest = FAR_MAC,
			.h_source = NEAR_MAC,
			.h_proto = skb->protocol,
		},
	};

	return outer_push(skb, &outer, OUTER_LEN);
}

char _license[] SEC("license") = "GPL";
