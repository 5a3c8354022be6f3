// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pushes a header of the other family, and does not reroute the packet.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("lwt_xmit") int push_ok(struct __sk_buff *skb)
{
	struct ipv6hdr six = { .version = 6, .nexthdr = IPPROTO_IPIP };
	struct iphdr four = { .version = 4, .ihl = 5, .protocol = IPPROTO_IPV6 };
	long err;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		err = bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, &six, sizeof(six));
	else
		err = bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, &four, sizeof(four));
	return err ? BPF_DROP : BPF_OK;
}

char _license[] SEC("license") = "GPL";
