/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Drops a packet whose data do not start with an IP header. Both verdicts have the
 * same values for tc and for routes.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define PASS 0
#define DROP 2

SEC(SECTION) int ip_first(struct __sk_buff *skb)
{
	__u8 *first = (void *)(long)skb->data;

	if ((void *)(first + 1) > (void *)(long)skb->data_end)
		return DROP;
	return *first >> 4 == 4 || *first >> 4 == 6 ? PASS : DROP;
}

char _license[] SEC("license") = "GPL";
