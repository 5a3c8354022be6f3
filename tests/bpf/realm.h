/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads the realm of the packet's route, so the kernel must keep the dst of packets
 * on all devices that have the filter.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int realm(struct __sk_buff *skb)
{
	return bpf_get_route_realm(skb) == 0xffffffff ? TC_ACT_SHOT : RETURN;
}

char _license[] SEC("license") = "GPL";
