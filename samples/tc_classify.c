// SPDX-License-Identifier: GPL-2.0-only
/*
 * Classifies the packets that a device sends by DSCP, and counts packets and bytes of
 * each DSCP. The counters are per CPU, so they need no lock.
 *
 *	clang -O2 -g -target bpf -c tc_classify.c -o tc_classify.o
 *	tc qdisc add dev eth0 root handle 1: htb default 20
 *	tc class add dev eth0 parent 1: classid 1:10 htb rate 10mbit
 *	tc class add dev eth0 parent 1: classid 1:20 htb rate 90mbit
 *	tc filter add dev eth0 parent 1: bpf obj tc_classify.o sec tc
 *	bpftool map update name classes key 46 0 0 0 value hex 10 00 01 00
 *	bpftool map dump name counters
 *
 * The map "classes" maps a DSCP to a class ID in host byte order, here 46 (EF) to 1:10.
 * Packets whose DSCP maps to 0 go on to the next filter, and finally to the default class.
 * This is not a direct-action filter: the program returns a class. Loaders that always set
 * that flag, such as libbpf's bpf_tc_attach(), cannot attach it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define DSCPS 64

struct count {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DSCPS);
	__type(key, __u32);
	__type(value, __u32);
} classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DSCPS);
	__type(key, __u32);
	__type(value, struct count);
} counters SEC(".maps");

SEC("tc") int classify(struct __sk_buff *skb)
{
	struct count *count;
	__u32 *class;
	__u8 head[2];
	__u32 dscp;

	/* Relative to the network header: a VLAN tag may precede it. */
	if (bpf_skb_load_bytes_relative(skb, 0, head, sizeof(head), BPF_HDR_START_NET))
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		dscp = head[1] >> 2;
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		/* The traffic class starts at bit 4 of the first byte. */
		dscp = (head[0] & 0xf) << 2 | head[1] >> 6;
	else
		return 0;

	count = bpf_map_lookup_elem(&counters, &dscp);
	if (count) {
		count->packets++;
		/* A GSO packet counts the headers of all its segments. */
		count->bytes += skb->wire_len;
	}
	class = bpf_map_lookup_elem(&classes, &dscp);
	return class ? *class : 0;
}

char _license[] SEC("license") = "GPL";
