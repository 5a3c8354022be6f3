// SPDX-License-Identifier: GPL-2.0-only
/*
 * Redirects a packet as its mark says: the lower 16 bits are the index of the
 * device, and two more bits are flags.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

#define TO_INGRESS 0x10000
#define WITH_HEADER 0x20000

SEC("lwt_xmit") int to_mark(struct __sk_buff *skb)
{
	__u32 mark = skb->mark;

	/* Packets without a mark are not the scenario's. */
	if (!mark)
		return BPF_OK;
	if (mark & WITH_HEADER) {
		struct ethhdr eth = {
			.h_dest = { 2, 0, 0, 0, 0, 0x77 },
			.h_source = { 2, 0, 0, 0, 0, 0x78 },
			.h_proto = skb->protocol,
		};

		if (bpf_skb_change_head(skb, sizeof(eth), 0) ||
		    bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0))
			return BPF_DROP;
	}
	return bpf_redirect(mark & 0xffff, mark & TO_INGRESS ? BPF_F_INGRESS : 0);
}

char _license[] SEC("license") = "GPL";
