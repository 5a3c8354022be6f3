// SPDX-License-Identifier: GPL-2.0-only
/*
 * Without direct action: matches packets with the mark 7.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int marked(struct __sk_buff *skb)
{
	return skb->mark == 7 ? -1 : 0;
}

char _license[] SEC("license") = "GPL";
