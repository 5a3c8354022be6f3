/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Gives the packet a delivery time. A program that looks at tstamp_type writes
 * tstamp alone, and what type it is of is then for the classifier to mend.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

static __always_inline int set_monotonic(struct __sk_buff *skb)
{
	bpf_skb_set_tstamp(skb, 1, BPF_SKB_CLOCK_MONOTONIC);
	return skb->tstamp_type == BPF_SKB_CLOCK_MONOTONIC;
}
