/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pushes a header and returns the result of the helper. SECTION is the type of the
 * program, ENCAP the kind of encapsulation.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>

SEC(SECTION) int reach(struct __sk_buff *skb)
{
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_IPIP };
	/* A segment routing header: its length beyond 8 bytes, its type, one segment. */
	__u8 srh[24] = { 0, 2, 4 };

	if (ENCAP == BPF_LWT_ENCAP_IP) {
		/* The packet grows in each of repeated runs: refuses to grow it further. */
		if (skb->len > 500)
			ip.version = 5;
		return bpf_lwt_push_encap(skb, ENCAP, &ip, sizeof(ip));
	}
	return bpf_lwt_push_encap(skb, ENCAP, srh, sizeof(srh));
}

char _license[] SEC("license") = "GPL";
