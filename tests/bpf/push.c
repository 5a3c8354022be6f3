// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pushes the header in the map `orders`, counts the results in the map `seen`, and
 * reroutes the packet. GSO packets use the second entry of each map, others the
 * first.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* More than the maximum length of a header. */
#define ROOM 264

/* Offset of a 16-bit length field in the header, and the offset from which it counts. */
struct place {
	__u16 at;
	__u16 from;
};

/* An order with length 0 passes the packet unchanged. A place whose `at` is 0 is unused.
 * The field at sum.at holds the pseudo-header sum without the length.
 */
struct order {
	__u64 len;
	struct place length[2];
	struct place sum;
	__u8 header[ROOM];
};

struct seen {
	__u64 packets;
	__u64 refused;
	__s64 error;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct order);
} orders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct seen);
} seen SEC(".maps");

static __always_inline void put(__u8 *header, __u32 at, __u32 value)
{
	if (!at || at > ROOM - 2)
		return;
	header[at] = value >> 8;
	header[at + 1] = value;
}

/* A GSO packet may be longer than the field can hold, which is then 0. */
static __always_inline __u32 length(__u32 len)
{
	return len <= 0xffff ? len : 0;
}

static __always_inline int push(struct __sk_buff *skb)
{
	__u32 key = !!skb->gso_size, all, value;
	const struct order *given = bpf_map_lookup_elem(&orders, &key);
	struct seen *count = bpf_map_lookup_elem(&seen, &key);
	struct order order;
	long err;

	if (!given || !count)
		return BPF_DROP;
	order = *given;
	if (!order.len)
		return BPF_OK;
	if (order.len > ROOM || order.sum.at > ROOM - 2)
		return BPF_DROP;
	all = skb->len + order.len;
	put(order.header, order.length[0].at, length(all - order.length[0].from));
	put(order.header, order.length[1].at, length(all - order.length[1].from));
	value = (order.header[order.sum.at] << 8) + order.header[order.sum.at + 1];
	value += all - order.sum.from;
	value = (value & 0xffff) + (value >> 16);
	put(order.header, order.sum.at, value + (value >> 16));
	err = bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, order.header, order.len);
	__sync_fetch_and_add(&count->packets, 1);
	if (!err)
		return BPF_LWT_REROUTE;
	__sync_fetch_and_add(&count->refused, 1);
	count->error = err;
	return BPF_DROP;
}

SEC("lwt_in") int push_in(struct __sk_buff *skb)
{
	return push(skb);
}

SEC("lwt_xmit") int push_xmit(struct __sk_buff *skb)
{
	return push(skb);
}

char _license[] SEC("license") = "GPL";
