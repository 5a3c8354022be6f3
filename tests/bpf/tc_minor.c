// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selects a class by its minor number; the major number is that of the filter's
 * class.
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
