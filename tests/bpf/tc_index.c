// SPDX-License-Identifier: GPL-2.0-only
/*
 * Without direct action: selects the class whose minor number an earlier hook has
 * stored in tc_index.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int by_index(struct __sk_buff *skb)
{
	return skb->tc_index ? 0x10000 | skb->tc_index : 0;
}

char _license[] SEC("license") = "GPL";
