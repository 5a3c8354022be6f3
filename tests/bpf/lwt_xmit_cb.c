// SPDX-License-Identifier: GPL-2.0-only
/*
 * Uses the scratch space of the packet, which on the way out holds what IP
 * needs: it must be saved and restored around the program.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("lwt_xmit") int scribble(struct __sk_buff *skb)
{
	/* The program begins with the space zeroed. */
	if (skb->cb[0] || skb->cb[1] || skb->cb[2] || skb->cb[3] || skb->cb[4])
		return BPF_DROP;
	/* The compiler must not make one pointer of these: the verifier minds. */
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
