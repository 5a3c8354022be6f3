// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends the packets of a route through VXLAN over IPv4, without a VXLAN device:
 *
 *	clang -O2 -g -target bpf -c lwt_xmit_vxlan.c -o lwt_xmit_vxlan.o
 *	ip route add 10.1.0.0/16 encap bpf xmit obj lwt_xmit_vxlan.o \
 *		section lwt_xmit headroom 50 dev eth0
 *
 * The other end has a VXLAN device, whose MAC address is FAR_MAC:
 *
 *	ip link add vx1 address 02:00:00:00:00:42 type vxlan id 42 \
 *		local 10.0.0.2 dstport 4789
 *	ip link set vx1 up
 *
 * The UDP source port is a hash of the inner flow, so routers that balance by ports
 * spread the flows and keep each in order. "headroom" lowers the route's MTU by
 * what is pushed; without it, long packets are fragmented. If the route is in a VRF,
 * the outer header is routed in that VRF. Limits: one remote end for the route, no UDP
 * checksum, DSCP and ECN are not copied.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <stddef.h>
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
/* The Ethernet addresses inside. A host ignores frames that are for another one. */
#ifndef FAR_MAC
#define FAR_MAC { 0x02, 0, 0, 0, 0, 0x42 }
#endif
#ifndef NEAR_MAC
#define NEAR_MAC { 0x02, 0, 0, 0, 0, 0x41 }
#endif

#define VXLAN_PORT 4789
#define VXLAN_HAS_VNI 0x08000000
/* The dynamic ports, 0xc000 to 0xffff: 14 bits of the hash choose one. */
#define FIRST_DYNAMIC_PORT 0xc000

struct outer {
	struct iphdr ip;
	struct udphdr udp;
	struct {
		__be32 flags;
		__be32 vni;
	} vxlan;
	struct ethhdr ethernet;
};

/* The compiler pads the structure behind the Ethernet header. */
#define OUTER_LEN (offsetof(struct outer, ethernet) + ETH_HLEN)

SEC("lwt_xmit") int vxlan(struct __sk_buff *skb)
{
	__u32 hash = bpf_get_hash_recalc(skb);
	__u32 len = OUTER_LEN + skb->len;
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
			.dest = bpf_htons(VXLAN_PORT),
			.len = udp_len <= 0xffff ? bpf_htons(udp_len) : 0,
		},
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

	/* A packet that cannot be encapsulated must not leave as it is. */
	if (bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, &outer, OUTER_LEN))
		return BPF_DROP;
	return BPF_LWT_REROUTE;
}

char _license[] SEC("license") = "GPL";
