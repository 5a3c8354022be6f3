// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is run again until the packet's priority is 9, and redirects the packet then,
 * from within as many rounds, to the device whose number is its mark.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("lwt_xmit") int late(struct __sk_buff *skb)
{
	skb->priority++;
	if (skb->priority < 9)
		return BPF_LWT_REROUTE;
	return bpf_redirect(skb->mark, 0);
}

char _license[] SEC("license") = "GPL";
