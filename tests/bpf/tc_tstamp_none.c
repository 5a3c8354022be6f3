// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drops a packet whose timestamp is of another clock than CLOCK_REALTIME, which is also
 * the clock of receive times.
 */
#include "tstamp.h"

SEC("tc") int tstamp_none(struct __sk_buff *skb)
{
	return skb->tstamp_type ? TC_ACT_SHOT : TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
