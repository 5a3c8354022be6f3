// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that call helpers: they redirect to a peer and to a neighbour, clone,
 * assign sockets, and tail-call. The map `args` holds their arguments and the
 * helper's result.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2
#define AF_INET6 10
struct args {
	__u32 number;
	__u32 flags;
	__u8 nexthop[16];
	__u32 family;
	__u32 runs;
	__s64 answer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct args);
} args SEC(".maps");

static __always_inline struct args *get_args(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&args, &key);
}

/* Returns whether this is a UDP packet whose data start with 'p', as those of scenarios do. */
static __always_inline int is_ours(struct __sk_buff *skb)
{
	__u8 protocol = 0, first = 0;
	__u32 udp = ETH_HLEN;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		bpf_skb_load_bytes(skb, udp + offsetof(struct iphdr, protocol), &protocol, 1);
		udp += sizeof(struct iphdr);
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		bpf_skb_load_bytes(skb, udp + offsetof(struct ipv6hdr, nexthdr), &protocol, 1);
		udp += sizeof(struct ipv6hdr);
	}
	bpf_skb_load_bytes(skb, udp + sizeof(struct udphdr), &first, 1);
	return protocol == IPPROTO_UDP && first == 'p';
}

SEC("tc") int peer(struct __sk_buff *skb)
{
	struct args *args = get_args();

	if (!args || !is_ours(skb))
		return TC_ACT_UNSPEC;
	__sync_fetch_and_add(&args->runs, 1);
	return bpf_redirect_peer(args->number, args->flags);
}

SEC("tc") int neigh(struct __sk_buff *skb)
{
	struct args *args = get_args();
	struct bpf_redir_neigh next = {};

	if (!args || !is_ours(skb))
		return TC_ACT_UNSPEC;
	__sync_fetch_and_add(&args->runs, 1);
	if (!args->family)
		return bpf_redirect_neigh(args->number, 0, 0, args->flags);
	next.nh_family = args->family;
	__builtin_memcpy(next.ipv6_nh, args->nexthop, sizeof(next.ipv6_nh));
	return bpf_redirect_neigh(args->number, &next, sizeof(next), args->flags);
}

SEC("tc") int clone(struct __sk_buff *skb)
{
	struct args *args = get_args();

	if (!args || !is_ours(skb))
		return TC_ACT_UNSPEC;
	__sync_fetch_and_add(&args->runs, 1);
	args->answer = bpf_clone_redirect(skb, args->number, args->flags);
	return TC_ACT_UNSPEC;
}

/* Assigns a UDP packet to the socket bound to the port `number`. */
SEC("tc") int assign(struct __sk_buff *skb)
{
	struct args *args = get_args();
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sock;
	__u32 size;

	if (!args || !is_ours(skb))
		return TC_ACT_UNSPEC;
	__sync_fetch_and_add(&args->runs, 1);
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		size = sizeof(tuple.ipv4);
		bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, saddr),
				   &tuple.ipv4.saddr, 8);
		tuple.ipv4.dport = bpf_htons(args->number);
		sock = bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		size = sizeof(tuple.ipv6);
		bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, saddr),
				   &tuple.ipv6.saddr, 32);
		tuple.ipv6.dport = bpf_htons(args->number);
		sock = bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sock) {
		args->answer = -(__s64)size;
		return TC_ACT_UNSPEC;
	}
	args->answer = bpf_sk_assign(skb, sock, args->flags);
	bpf_sk_release(sock);
	return TC_ACT_UNSPEC;
}

/* A tcx program that runs before filters: marks the packet, and returns `number`. */
SEC("tc") int first(struct __sk_buff *skb)
{
	struct args *args = get_args();

	if (!args || !is_ours(skb))
		return TCX_NEXT;
	__sync_fetch_and_add(&args->runs, 1);
	skb->mark = 7;
	return (int)args->number;
}

/* Records that it ran, and the packet's mark. */
SEC("tc") int after(struct __sk_buff *skb)
{
	struct args *args = get_args();

	if (!args || !is_ours(skb))
		return TC_ACT_UNSPEC;
	__sync_fetch_and_add(&args->runs, 1 << 16);
	args->answer = skb->mark;
	return TC_ACT_UNSPEC;
}

#define HOOK(name) in_##name
#define SECTION "lwt_in"
#define PASSES BPF_OK
#define DROPS BPF_DROP
#include "tail_calls.h"

#define HOOK(name) out_##name
#define SECTION "lwt_out"
#define PASSES BPF_OK
#define DROPS BPF_DROP
#include "tail_calls.h"

#define HOOK(name) xmit_##name
#define SECTION "lwt_xmit"
#define PASSES BPF_OK
#define DROPS BPF_DROP
#include "tail_calls.h"

#define HOOK(name) tc_##name
#define SECTION "tc"
#define PASSES TC_ACT_OK
#define DROPS TC_ACT_SHOT
#include "tail_calls.h"

/* Sets a tunnel key, which replaces the packet's dst by one without a device, and
 * reroutes the packet; a rule selects the route by the mark.
 */
SEC("lwt_xmit") int key_and_reroute(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = { .tunnel_id = 7 };

	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0))
		return BPF_DROP;
	skb->mark = 7;
	return BPF_LWT_REROUTE;
}

char _license[] SEC("license") = "GPL";
