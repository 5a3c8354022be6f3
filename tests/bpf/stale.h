/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Uses an old pointer into the packet after a header was pushed and the bound was
 * checked for a new pointer, so the old one refers beyond the packet. SHAPE is the
 * kind of use. With KFUNC a kfunc pushes the header, and the verifier does not know
 * that it changes the packet.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>

#define READ 1
#define SUBPROGRAM 2
#define STACK 3
#define WRITE 4
#define TWICE 5

#ifdef KFUNC
int bpf_lwtcls_push_ip_encap(struct __sk_buff *skb, const void *hdr, __u32 hdr__sz) __ksym;
#endif

static __always_inline int push(struct __sk_buff *skb)
{
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_IPIP };

#ifdef KFUNC
	return bpf_lwtcls_push_ip_encap(skb, &ip, sizeof(ip));
#else
	return bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, &ip, sizeof(ip));
#endif
}

#if SHAPE == SUBPROGRAM
static __noinline int push_elsewhere(struct __sk_buff *skb)
{
	return push(skb);
}

#define push push_elsewhere
#endif

SEC("lwt_xmit") int stale(struct __sk_buff *skb)
{
	__u8 *old = (void *)(long)skb->data;
	__u8 *now;

#if SHAPE == STACK
	__u8 *kept;

	/* Forces a spill to the stack. */
	asm volatile("*(u64 *)%0 = %1" : "=m"(kept) : "r"(old));
#endif
	push(skb);
#if SHAPE == TWICE
	push(skb);
#endif
	now = (void *)(long)skb->data;
	if ((void *)(now + 134) > (void *)(long)skb->data_end)
		return BPF_DROP;
#if SHAPE == STACK
	asm volatile("%0 = *(u64 *)%1" : "=r"(old) : "m"(kept));
#endif
#if SHAPE == WRITE
	old[130] = 1;
	return BPF_DROP;
#else
	return old[130];
#endif
}

char _license[] SEC("license") = "GPL";
