// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls bpf_redirect_neigh() for the device whose index is the mark, and then
 * passes the packet.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int neigh_unused(struct __sk_buff *skb)
{
	bpf_redirect_neigh(skb->mark, (void *)0, 0, 0);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
