// SPDX-License-Identifier: GPL-2.0-only
/*
 * Uses 12 bytes of the headroom for the MAC header, which leaves too few. The
 * headroom is 16 bytes, and 8 more if a fragment header may be needed.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("lwt_xmit") int narrow(struct __sk_buff *skb)
{
	return bpf_skb_change_head(skb, 12, 0) ? BPF_DROP : BPF_OK;
}

char _license[] SEC("license") = "GPL";
