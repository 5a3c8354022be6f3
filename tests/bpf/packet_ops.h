/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The operations that data_pointers.c performs on a packet.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

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
struct operation {
	__u64 op;
	__s64 a;
	__u64 b;
	__u64 flags;
	__u64 passes;
	__u64 every;
};

struct nf_conn {
	unsigned long status;
} __attribute__((preserve_access_index));

struct bpf_ct_opts___local {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

struct bpf_fou_encap___local {
	__be16 sport;
	__be16 dport;
};

int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
int bpf_dynptr_from_skb_meta(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
				  __u32 tuple__sz, struct bpf_ct_opts___local *opts,
				  __u32 opts__sz) __ksym;
void bpf_ct_release(struct nf_conn *conn) __ksym;
int bpf_skb_set_fou_encap(struct __sk_buff *skb, struct bpf_fou_encap___local *encap,
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
	struct bpf_ct_opts___local opts = { .netns_id = -1, .l4proto = IPPROTO_UDP };
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

static __always_inline long perform(struct __sk_buff *skb, const struct operation *operation)
{
	struct bpf_fou_encap___local fou = { .dport = bpf_htons(5555) };
	/* The length is relative to that of the packet, or absolute if `b` is set. */
	__u32 length = operation->a + (operation->b ? 0 : skb->len);
	__u64 flags = operation->flags;
	__u32 a = operation->a;

	switch (operation->op) {
	case CHANGE_TAIL:
		return bpf_skb_change_tail(skb, length, flags);
	case CHANGE_HEAD:
		return bpf_skb_change_head(skb, a, flags);
	case ADJUST_ROOM:
		return bpf_skb_adjust_room(skb, a, operation->b, flags);
	case VLAN_PUSH:
	case VLAN_POP:
		return vlan(skb, a, operation->b);
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
		return bpf_skb_set_tstamp(skb, a, operation->b);
	}
	return 0;
}
