/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sets a delivery time. If a program reads tstamp_type, its writes to tstamp leave
 * the type alone, and the classifier has to correct the type afterwards.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

static __always_inline int set_monotonic(struct __sk_buff *skb)
{
	bpf_skb_set_tstamp(skb, 1, BPF_SKB_CLOCK_MONOTONIC);
	return skb->tstamp_type == BPF_SKB_CLOCK_MONOTONIC;
}
