/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks a packet and reroutes it, so a rule can select the route by the mark.
 * SECTION is the type of the program.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC(SECTION) int mark(struct __sk_buff *skb)
{
	skb->mark = 7;
	return BPF_LWT_REROUTE;
}

char _license[] SEC("license") = "GPL";
