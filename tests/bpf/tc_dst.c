// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drops a packet that has lost its dst. It reads the kernel's struct sk_buff, so,
 * unlike with bpf_get_route_realm(), the kernel does not see that it needs the dst.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct sk_buff {
	unsigned long _skb_refdst;
} __attribute__((preserve_access_index));

void *bpf_cast_to_kern_ctx(void *context) __ksym;

SEC("tc") int dst(struct __sk_buff *context)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx(context);

	return skb->_skb_refdst ? TC_ACT_OK : TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
