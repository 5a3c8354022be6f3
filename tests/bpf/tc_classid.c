// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds the filter's minor class number in tc_classid, and sends the packet to
 * the class that is numbered one higher.
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
