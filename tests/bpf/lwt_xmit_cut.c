// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cuts a packet to half of an IPv6 header, marks it and reroutes it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("lwt_xmit") int cut(struct __sk_buff *skb)
{
	if (bpf_skb_change_tail(skb, 20, 0))
		return BPF_DROP;
	skb->mark = 7;
	return BPF_LWT_REROUTE;
}

char _license[] SEC("license") = "GPL";
