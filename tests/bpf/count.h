/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts packets and their bytes, and passes them. SECTION is the type of the
 * program, RETURN its return value.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline void add(__u32 key, __u64 value)
{
	__u64 *counter = bpf_map_lookup_elem(&counters, &key);

	if (counter)
		__sync_fetch_and_add(counter, value);
}

SEC(SECTION) int count(struct __sk_buff *skb)
{
	add(0, 1);
	add(1, skb->len);
	return RETURN;
}

char _license[] SEC("license") = "GPL";
