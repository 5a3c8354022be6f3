// SPDX-License-Identifier: GPL-2.0-only
/*
 * Redirects packets that a device receives for the addresses of containers to their veths,
 * bypassing the host's IP layer: bpf_redirect_peer() continues on the container's end.
 *
 *	clang -O2 -g -target bpf -c tc_container.c -o tc_container.o
 *	tc qdisc add dev eth0 clsact
 *	tc filter add dev eth0 ingress bpf da obj tc_container.o sec tc
 *	bpftool map update name containers \
 *		key 0 0 0 0 0 0 0 0 0 0 255 255 10 1 0 7 value 12 0 0 0
 *
 * The map "containers" maps an address (IPv6, or IPv4 as ::ffff:10.1.0.7) to the ifindex
 * of the host's end of a veth. Packets for other addresses pass. The host must be the
 * router of the containers; their replies are routed as usual. If it is also attached to
 * the host's ends of the veths, the filter connects the containers with each other.
 * Limits: redirected packets bypass the host's netfilter rules and keep their TTL; it
 * works on ingress only, and on devices with Ethernet headers.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct in6_addr);
	__type(value, __u32);
} containers SEC(".maps");

/* Reads the destination, IPv4 mapped to IPv6; returns nonzero if there is none. */
static int destination(struct __sk_buff *skb, struct in6_addr *to)
{
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		to->s6_addr16[5] = 0xffff;
		return bpf_skb_load_bytes_relative(skb, offsetof(struct iphdr, daddr),
						   &to->s6_addr32[3], sizeof(__be32),
						   BPF_HDR_START_NET);
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return bpf_skb_load_bytes_relative(skb, offsetof(struct ipv6hdr, daddr),
						   to, sizeof(*to), BPF_HDR_START_NET);
	return -1;
}

SEC("tc") int deliver(struct __sk_buff *skb)
{
	struct in6_addr to = {};
	__u32 *veth;

	if (destination(skb, &to))
		return TC_ACT_UNSPEC;
	veth = bpf_map_lookup_elem(&containers, &to);
	/* No container's: leave it to the next filter, or to the IP layer. */
	if (!veth)
		return TC_ACT_UNSPEC;
	return bpf_redirect_peer(*veth, 0);
}

char _license[] SEC("license") = "GPL";
