// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replaces the packet's dst by one without a device, and pushes a header. Stores
 * the result of the helper in the map.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __s64);
} answers SEC(".maps");

SEC("lwt_xmit") int no_dev(struct __sk_buff *skb)
{
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_IPIP };
	struct bpf_tunnel_key key = {};
	__s64 answer;
	__u32 at = 0;

	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0))
		return BPF_DROP;
	answer = bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, &ip, sizeof(ip));
	bpf_map_update_elem(&answers, &at, &answer, BPF_ANY);
	return BPF_DROP;
}

char _license[] SEC("license") = "GPL";
