// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chooses a class by its minor number alone: the major one is the filter's.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int minor(struct __sk_buff *skb)
{
	skb->tc_classid = 3;
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
