/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pushes a copy of the packet's header straight from the packet: the verifier
 * accepts a slice of a dynptr like other memory. SECTION is the type of the
 * program.
 */
#include <linux/bpf.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>

int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags,
			struct bpf_dynptr *ptr__uninit) __ksym;
void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, __u64 offset, void *buffer,
		       __u64 buffer__szk) __ksym;

SEC(SECTION) int push_slice(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	struct iphdr room, *own;

	if (bpf_dynptr_from_skb(skb, 0, &packet))
		return -1;
	own = bpf_dynptr_slice(&packet, 0, &room, sizeof(room));
	if (!own)
		return -2;
	return bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, own, sizeof(*own));
}

char _license[] SEC("license") = "GPL";
