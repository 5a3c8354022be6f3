/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pushes an IPv6 header and reroutes the packet. SECTION is the type of the
 * program, SOURCE the source address.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#ifndef SOURCE
#define SOURCE { 0xfd, 0x07, [15] = 1 }
#endif

SEC(SECTION) int push_six(struct __sk_buff *skb)
{
	struct ipv6hdr ip = {
		.version = 6,
		.nexthdr = IPPROTO_IPIP,
		.hop_limit = 64,
		.payload_len = bpf_htons(skb->len),
		.saddr.in6_u.u6_addr8 = SOURCE,
		.daddr.in6_u.u6_addr8 = { 0xfd, 0x09, [15] = 2 },
	};

	if (bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, &ip, sizeof(ip)))
		return BPF_DROP;
	return BPF_LWT_REROUTE;
}

char _license[] SEC("license") = "GPL";
