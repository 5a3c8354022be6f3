// SPDX-License-Identifier: GPL-2.0-only
/*
 * A chain of filters. `change` performs the operation in the map `orders` on a
 * packet and leaves it to the next filter. `compare` and, in the next priority,
 * `decide` read the packet through direct packet access and by
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

/* At most this many bytes of a packet are compared. */
#define MOST 2048
/* Marks the packets that the next filters compare. */
#define MARK 0xc0de
/* The metadata that the XDP program adds. */
#define METADATA 0x0807060504030201ull

enum op {
	NOTHING,
	CHANGE_TAIL,
	CHANGE_HEAD,
	ADJUST_ROOM,
	VLAN_PUSH,
	VLAN_POP,
	PULL_DATA,
	CHANGE_PROTO,
	STORE_BYTES,
	L3_CSUM,
	L4_CSUM,
	CHANGE_TYPE,
	TUNNEL_KEY,
	DYNPTR,
	DYNPTR_META,
	CLONE_REDIRECT,
	CT_LOOKUP,
	FOU_ENCAP,
	SET_TSTAMP,
};

/* `every`: applies to all packets instead of the next UDP packet. */
struct order {
	__u64 op;
	__s64 a;
	__u64 b;
	__u64 flags;
	__u64 passes;
	__u64 every;
};

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
	__type(value, struct order);
} orders SEC(".maps");

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

struct nf_conn {
	unsigned long status;
} __attribute__((preserve_access_index));

struct bpf_ct_opts___chain {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

struct bpf_fou_encap___chain {
	__be16 sport;
	__be16 dport;
};

void *bpf_cast_to_kern_ctx(void *context) __ksym;
int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
int bpf_dynptr_from_skb_meta(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
				  __u32 tuple__sz, struct bpf_ct_opts___chain *opts,
				  __u32 opts__sz) __ksym;
void bpf_ct_release(struct nf_conn *conn) __ksym;
int bpf_skb_set_fou_encap(struct __sk_buff *skb, struct bpf_fou_encap___chain *encap,
			  int type) __ksym;

static __always_inline long vlan(struct __sk_buff *skb, __u64 pushes, __u64 pops)
{
	long err = 0;
	int i;

	for (i = 0; i < 3 && !err; i++)
		if (i < pushes)
			err = bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 5 + i);
	for (i = 0; i < 3 && !err; i++)
		if (i < pops)
			err = bpf_skb_vlan_pop(skb);
	return err;
}

static __always_inline long tunnel_key(struct __sk_buff *skb, __u32 size, __u64 flags)
{
	struct bpf_tunnel_key key = { .tunnel_id = 7, .remote_ipv4 = 0x0a000002 };

	if (size == sizeof(key))
		return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags);
	return bpf_skb_set_tunnel_key(skb, &key, sizeof(key) - 1, flags);
}

static __always_inline long dynptr(struct __sk_buff *skb, __u32 offset, __u64 flags)
{
	struct bpf_dynptr ptr;
	__u32 word = 0;

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return -1;
	bpf_dynptr_read(&word, sizeof(word), &ptr, offset, 0);
	return bpf_dynptr_write(&ptr, offset, &word, sizeof(word), flags);
}

static __always_inline long dynptr_meta(struct __sk_buff *skb, __u32 offset, __u64 flags)
{
	__u64 metadata = METADATA;
	struct bpf_dynptr ptr;

	if (bpf_dynptr_from_skb_meta(skb, 0, &ptr))
		return -1;
	return bpf_dynptr_write(&ptr, offset, &metadata, sizeof(metadata), flags);
}

static __always_inline long ct_lookup(struct __sk_buff *skb, __u32 size)
{
	struct bpf_ct_opts___chain opts = { .netns_id = -1, .l4proto = IPPROTO_UDP };
	struct bpf_sock_tuple tuple = {};
	struct nf_conn *conn;

	conn = bpf_skb_ct_lookup(skb, &tuple, size ? sizeof(tuple.ipv4) : 8, &opts, sizeof(opts));
	if (conn)
		bpf_ct_release(conn);
	return opts.error;
}

static __always_inline long store(struct __sk_buff *skb, __u32 offset, __u64 flags)
{
	__u32 word;

	bpf_skb_load_bytes(skb, offset, &word, sizeof(word));
	return bpf_skb_store_bytes(skb, offset, &word, sizeof(word), flags);
}

static __always_inline long obey(struct __sk_buff *skb, const struct order *order)
{
	struct bpf_fou_encap___chain fou = { .dport = bpf_htons(5555) };
	/* The length is relative to that of the packet, or absolute if `b` is set. */
	__u32 length = order->a + (order->b ? 0 : skb->len);
	__u64 flags = order->flags;
	__u32 a = order->a;

	switch (order->op) {
	case CHANGE_TAIL:
		return bpf_skb_change_tail(skb, length, flags);
	case CHANGE_HEAD:
		return bpf_skb_change_head(skb, a, flags);
	case ADJUST_ROOM:
		return bpf_skb_adjust_room(skb, a, order->b, flags);
	case VLAN_PUSH:
	case VLAN_POP:
		return vlan(skb, a, order->b);
	case PULL_DATA:
		return bpf_skb_pull_data(skb, length);
	case CHANGE_PROTO:
		return bpf_skb_change_proto(skb, bpf_htons(a), flags);
	case STORE_BYTES:
		return store(skb, a, flags);
	case L3_CSUM:
		return bpf_l3_csum_replace(skb, a, 7, 7, 2 | flags);
	case L4_CSUM:
		return bpf_l4_csum_replace(skb, a, 7, 7, 2 | flags);
	case CHANGE_TYPE:
		return bpf_skb_change_type(skb, a);
	case TUNNEL_KEY:
		return tunnel_key(skb, a, flags);
	case DYNPTR:
		return dynptr(skb, a, flags);
	case DYNPTR_META:
		return dynptr_meta(skb, a, flags);
	case CLONE_REDIRECT:
		return bpf_clone_redirect(skb, a, flags);
	case CT_LOOKUP:
		return ct_lookup(skb, a);
	case FOU_ENCAP:
		return bpf_skb_set_fou_encap(skb, &fou, a);
	case SET_TSTAMP:
		return bpf_skb_set_tstamp(skb, a, order->b);
	}
	return 0;
}

static __always_inline int is_udp(struct __sk_buff *skb)
{
	__u8 protocol = 0;

	return skb->protocol == bpf_htons(ETH_P_IP) &&
		!bpf_skb_load_bytes(skb, ETH_HLEN + 9, &protocol, 1) && protocol == IPPROTO_UDP;
}

SEC("tc") int change(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct order *order = bpf_map_lookup_elem(&orders, &key), now;
	struct seen *found = bpf_map_lookup_elem(&seen, &key);

	if (!order || !found || !order->op || !(order->every || is_udp(skb)))
		return TC_ACT_UNSPEC;
	now = *order;
	if (!now.every)
		order->op = NOTHING;
	found->before = skb->len;
	found->answer = obey(skb, &now);
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

static __always_inline void look(struct __sk_buff *context, __u32 key)
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
		look(skb, 0);
	return TC_ACT_UNSPEC;
}

SEC("tc") int decide(struct __sk_buff *skb)
{
	struct order *order;
	__u32 key = 0;

	if (skb->mark != MARK)
		return TC_ACT_OK;
	look(skb, 1);
	order = bpf_map_lookup_elem(&orders, &key);
	return order && order->passes ? TC_ACT_OK : TC_ACT_SHOT;
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
