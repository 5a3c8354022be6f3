// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overwrites skb->cb, which holds the control block of IP on output: it must be
 * saved and restored around the program.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("lwt_xmit") int scribble(struct __sk_buff *skb)
{
	/* The program sees a zeroed cb. */
	if (skb->cb[0] || skb->cb[1] || skb->cb[2] || skb->cb[3] || skb->cb[4])
		return BPF_DROP;
	/* The barriers keep the compiler from merging the stores, which the verifier
	 * would refuse.
	 */
	skb->cb[0] = 0xffffffff;
	barrier();
	skb->cb[1] = 0xffffffff;
	barrier();
	skb->cb[2] = 0xffffffff;
	barrier();
	skb->cb[3] = 0xffffffff;
	barrier();
	skb->cb[4] = 0xffffffff;
	return BPF_OK;
}

char _license[] SEC("license") = "GPL";
