// SPDX-License-Identifier: GPL-2.0-only
/*
 * Filters that run one after the other. `change` performs the operation in the map
 * `operations` on a packet and returns no verdict. `compare` and, in the next
 * priority, `decide` read the packet through direct packet access and by
 * bpf_skb_load_bytes(), and compare both with each other and with the kernel's view
 * of the packet.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "packet_ops.h"

/* At most this many bytes of a packet are compared. */
#define MOST 2048
/* Marks the packets that the next filters compare. */
#define MARK 0xc0de

struct seen {
	__u64 changed;
	__s64 answer;
	__u64 before;
	__u64 after;
	__u64 compared;
	__u64 len;
	/* The kernel's view. */
	__u64 head;
	__u64 meta;
	/* The program's view. */
	__u64 direct;
	__u64 direct_meta;
	__u64 metadata;
	/* Number of mismatches. */
	__u64 moved;
	__u64 wrong;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct operation);
} operations SEC(".maps");

/* Index 0: `change` and `compare`. Index 1: `decide`. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct seen);
} seen SEC(".maps");

struct sk_buff {
	unsigned int len, data_len, end;
	unsigned char *head, *data;
} __attribute__((preserve_access_index));

struct skb_shared_info {
	__u8 meta_len;
} __attribute__((preserve_access_index));

void *bpf_cast_to_kern_ctx(void *context) __ksym;

static __always_inline int is_udp(struct __sk_buff *skb)
{
	__u8 protocol = 0;

	return skb->protocol == bpf_htons(ETH_P_IP) &&
		!bpf_skb_load_bytes(skb, ETH_HLEN + 9, &protocol, 1) && protocol == IPPROTO_UDP;
}

SEC("tc") int change(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct operation *operation = bpf_map_lookup_elem(&operations, &key), now;
	struct seen *found = bpf_map_lookup_elem(&seen, &key);

	if (!operation || !found || !operation->op || !(operation->every || is_udp(skb)))
		return TC_ACT_UNSPEC;
	now = *operation;
	if (!now.every)
		operation->op = NOTHING;
	found->before = skb->len;
	found->answer = perform(skb, &now);
	found->after = skb->len;
	__sync_fetch_and_add(&found->changed, 1);
	skb->mark = MARK;
	return TC_ACT_UNSPEC;
}

/* Returns whether direct packet access finds other bytes than bpf_skb_load_bytes(). No
 * branch depends on the result, because the verifier would explore both sides.
 */
static __always_inline __u64 wrong(struct __sk_buff *skb)
{
	__u64 word, differ = 0;
	void *data, *end;
	__u32 at, last;
	__u8 byte;

	for (at = 0; at < MOST; at += sizeof(word)) {
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		if (data + at + sizeof(word) > end)
			break;
		differ |= bpf_skb_load_bytes(skb, at, &word, sizeof(word));
		differ |= word ^ *(__u64 *)(data + at);
	}
	for (last = 0; last < sizeof(word); last++, at++) {
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		if (at >= MOST || data + at + 1 > end)
			break;
		differ |= bpf_skb_load_bytes(skb, at, &byte, 1);
		differ |= byte ^ *(__u8 *)(data + at);
	}
	return differ;
}

static __always_inline void record(struct __sk_buff *context, __u32 key)
{
	void *data, *data_meta = (void *)(long)context->data_meta;
	struct seen *found = bpf_map_lookup_elem(&seen, &key);
	struct sk_buff *skb = bpf_cast_to_kern_ctx(context);
	struct skb_shared_info *info;
	__u8 meta_len = 0;
	__u64 meta;

	if (!found)
		return;
	info = (void *)(skb->head + skb->end);
	bpf_core_read(&meta_len, sizeof(meta_len), &info->meta_len);
	data = (void *)(long)context->data;
	found->len = context->len;
	found->head = skb->len - skb->data_len;
	found->meta = meta_len;
	found->direct = (void *)(long)context->data_end - data;
	found->direct_meta = data - data_meta;
	found->moved += found->len != skb->len || found->head != found->direct ||
		found->meta != found->direct_meta;
	found->wrong += !!wrong(context);
	if (data_meta + sizeof(__u64) <= data) {
		meta = *(__u64 *)data_meta;
		found->metadata = meta;
	}
	__sync_fetch_and_add(&found->compared, 1);
}

SEC("tc") int compare(struct __sk_buff *skb)
{
	if (skb->mark == MARK)
		record(skb, 0);
	return TC_ACT_UNSPEC;
}

SEC("tc") int decide(struct __sk_buff *skb)
{
	struct operation *operation;
	__u32 key = 0;

	if (skb->mark != MARK)
		return TC_ACT_OK;
	record(skb, 1);
	operation = bpf_map_lookup_elem(&operations, &key);
	return operation && operation->passes ? TC_ACT_OK : TC_ACT_SHOT;
}

/* Adds eight bytes of metadata. */
SEC("xdp") int metadata(struct xdp_md *xdp)
{
	__u64 *meta;

	if (bpf_xdp_adjust_meta(xdp, -(int)sizeof(*meta)))
		return XDP_DROP;
	meta = (void *)(long)xdp->data_meta;
	if ((void *)(meta + 1) > (void *)(long)xdp->data)
		return XDP_DROP;
	*meta = METADATA;
	return XDP_PASS;
}

/* With generic XDP the skb's tail is not at the end of the data that the program leaves. */
SEC("xdp") int shorter(struct xdp_md *xdp)
{
	return bpf_xdp_adjust_tail(xdp, -100) ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int longer(struct xdp_md *xdp)
{
	return bpf_xdp_adjust_tail(xdp, 8) ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
