// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes most of the room that a packet has for its link header: 16 bytes, and 8
 * more where there may be a header of fragments.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("lwt_xmit") int narrow(struct __sk_buff *skb)
{
	return bpf_skb_change_head(skb, 12, 0) ? BPF_DROP : BPF_OK;
}

char _license[] SEC("license") = "GPL";
