// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pushes a header from memory that userspace modifies concurrently, and counts the
 * families of the packet and of its first byte.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct shared {
	__u8 header[40];
	__u64 four;
	__u64 six;
	__u64 torn;
	__u64 refused;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shared);
} shared SEC(".maps");

SEC("lwt_in") int push(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct shared *all = bpf_map_lookup_elem(&shared, &key);
	__u8 first;

	if (!all)
		return BPF_DROP;
	if (bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, all->header, sizeof(all->header)) ||
	    bpf_skb_load_bytes(skb, 0, &first, sizeof(first)))
		all->refused++;
	else if (skb->protocol == bpf_htons(ETH_P_IP) && first >> 4 == 4)
		all->four++;
	else if (skb->protocol == bpf_htons(ETH_P_IPV6) && first >> 4 == 6)
		all->six++;
	else
		all->torn++;
	return BPF_DROP;
}

char _license[] SEC("license") = "GPL";
