// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the minor number of the filter's class from tc_classid, and selects the
 * class with the next number.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int classid(struct __sk_buff *skb)
{
	skb->tc_classid = skb->tc_classid + 1;
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
