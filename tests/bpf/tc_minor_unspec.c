// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sets a class, and leaves the packet to the next filter.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int minor(struct __sk_buff *skb)
{
	skb->tc_classid = 3;
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
