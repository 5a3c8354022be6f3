// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes the destination of UDP packets to 10.2.0.1 or fd02::1, and reroutes them.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* A UDP checksum of 0 means that there is none, so a sum of 0 is sent as 0xffff. */
#define UDP_SUM (BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0)

static __always_inline int other4(struct __sk_buff *skb)
{
	__be32 old, new = bpf_htonl(0x0a020001);
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return BPF_DROP;
	if (ip.protocol != IPPROTO_UDP)
		return BPF_OK;
	old = ip.daddr;
	bpf_l4_csum_replace(skb, sizeof(ip) + offsetof(struct udphdr, check), old, new,
			    UDP_SUM | sizeof(new));
	bpf_l3_csum_replace(skb, offsetof(struct iphdr, check), old, new, sizeof(new));
	bpf_skb_store_bytes(skb, offsetof(struct iphdr, daddr), &new, sizeof(new), 0);
	return BPF_LWT_REROUTE;
}

static __always_inline int other6(struct __sk_buff *skb)
{
	struct in6_addr new = {};
	struct ipv6hdr ip;
	__s64 diff;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return BPF_DROP;
	if (ip.nexthdr != IPPROTO_UDP)
		return BPF_OK;
	new.s6_addr[0] = 0xfd;
	new.s6_addr[1] = 0x02;
	new.s6_addr[15] = 1;
	diff = bpf_csum_diff((void *)&ip.daddr, sizeof(new), (void *)&new, sizeof(new), 0);
	bpf_l4_csum_replace(skb, sizeof(ip) + offsetof(struct udphdr, check), 0, diff, UDP_SUM);
	bpf_skb_store_bytes(skb, offsetof(struct ipv6hdr, daddr), &new, sizeof(new), 0);
	return BPF_LWT_REROUTE;
}

SEC("lwt_xmit") int other(struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return other4(skb);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return other6(skb);
	return BPF_OK;
}

char _license[] SEC("license") = "GPL";
