// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clears the delivery time, and leaves its type.
 */
#include "tstamp.h"

SEC("tc") int tstamp_zero(struct __sk_buff *skb)
{
	if (!set_monotonic(skb))
		return TC_ACT_SHOT;
	skb->tstamp = 0;
	return skb->tstamp_type == BPF_SKB_CLOCK_MONOTONIC ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
