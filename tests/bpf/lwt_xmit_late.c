// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reroutes the packet until its priority is 9, and then redirects it, from within
 * as many reroutes, to the device whose index is its mark.
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
