// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traces the helper that pushes headers on xmit, and counts its calls.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

static __always_inline int count(__u32 key)
{
	__u64 *counter = bpf_map_lookup_elem(&calls, &key);

	if (counter)
		__sync_fetch_and_add(counter, 1);
	return 0;
}

SEC("fentry/bpf_lwt_xmit_push_encap") int enter(void *context)
{
	return count(0);
}

SEC("fexit/bpf_lwt_xmit_push_encap") int leave(void *context)
{
	return count(1);
}

char _license[] SEC("license") = "GPL";
