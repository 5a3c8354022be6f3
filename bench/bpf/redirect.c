// SPDX-License-Identifier: GPL-2.0-only
/*
 * Redirects packets to device 103, with a MAC header.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("lwt_xmit") int redirect(struct __sk_buff *skb)
{
	struct ethhdr link = { .h_dest = { 2 }, .h_proto = bpf_htons(ETH_P_IP) };

	if (bpf_skb_change_head(skb, sizeof(link), 0) ||
	    bpf_skb_store_bytes(skb, 0, &link, sizeof(link), 0))
		return BPF_DROP;
	return bpf_redirect(103, 0);
}

char _license[] SEC("license") = "GPL";
