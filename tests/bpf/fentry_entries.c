// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traces the module's hooks by name, with the types of their arguments, and counts
 * calls and the bytes of their packets.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct net;
struct sock;

struct sk_buff {
	unsigned int len;
} __attribute__((preserve_access_index));

struct seen {
	__u64 calls, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct seen);
} seen SEC(".maps");

static __always_inline int count(__u32 key, const struct sk_buff *skb)
{
	struct seen *seen_of_hook = bpf_map_lookup_elem(&seen, &key);

	if (seen_of_hook) {
		__sync_fetch_and_add(&seen_of_hook->calls, 1);
		__sync_fetch_and_add(&seen_of_hook->bytes, skb->len);
	}
	return 0;
}

SEC("fentry/lwtcls_bpf_input") int BPF_PROG(on_in, struct sk_buff *skb)
{
	return count(0, skb);
}

SEC("fentry/lwtcls_bpf_output")
int BPF_PROG(on_out, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return count(1, skb);
}

SEC("fentry/lwtcls_bpf_xmit") int BPF_PROG(on_xmit, struct sk_buff *skb)
{
	return count(2, skb);
}

SEC("fentry/lwtcls_cls_bpf_classify") int BPF_PROG(on_tc, struct sk_buff *skb)
{
	return count(3, skb);
}

char _license[] SEC("license") = "GPL";
