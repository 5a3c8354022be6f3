/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A typical workload of some 200 instructions per packet: parses the headers, hashes
 * them, looks up the flow in a map, and counts bytes. SECTION is the program type, LINK
 * the length of the MAC header, RETURN the return value.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>

struct flow {
	__u32 saddr, daddr;
	__u16 sport, dport;
	__u32 protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct flow);
	__type(value, __u64);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

SEC(SECTION) int work(struct __sk_buff *skb)
{
	const __u8 *data = (void *)(long)skb->data;
	const void *end = (void *)(long)skb->data_end;
	const struct iphdr *ip = (void *)(data + LINK);
	const struct udphdr *udp = (void *)(ip + 1);
	struct flow flow = {};
	__u32 hash = 0x9e3779b9, i;
	__u64 *counter;

	if ((void *)(udp + 1) > end || ip->protocol != IPPROTO_UDP)
		return RETURN;
	flow.saddr = ip->saddr;
	flow.daddr = ip->daddr;
	flow.sport = udp->source;
	flow.dport = udp->dest;
	flow.protocol = ip->protocol;
#pragma unroll
	for (i = 0; i < sizeof(*ip) + sizeof(*udp); i++)
		hash = ((hash ^ data[LINK + i]) * 16777619) ^ (hash >> 15);
	counter = bpf_map_lookup_elem(&flows, &flow);
	if (counter)
		return RETURN;
	hash &= 255;
	counter = bpf_map_lookup_elem(&counters, &hash);
	if (counter)
		*counter += skb->len;
	return RETURN;
}

char _license[] SEC("license") = "GPL";
