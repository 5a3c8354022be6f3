/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asks for the realm of the packet's route, which the kernel must then keep on
 * the packets of all devices that the filter is for.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int realm(struct __sk_buff *skb)
{
	return bpf_get_route_realm(skb) == 0xffffffff ? TC_ACT_SHOT : RETURN;
}

char _license[] SEC("license") = "GPL";
