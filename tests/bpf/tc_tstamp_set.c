// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sets a delivery time on the monotonic clock.
 */
#include "tstamp.h"

SEC("tc") int tstamp_set(struct __sk_buff *skb)
{
	return set_monotonic(skb) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
