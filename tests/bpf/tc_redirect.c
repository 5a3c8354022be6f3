// SPDX-License-Identifier: GPL-2.0-only
/*
 * Redirects the packet out of the device that it is on. Meant for ingress; a
 * classful qdisc does not follow the redirect, which must do no harm.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int redirect(struct __sk_buff *skb)
{
	return bpf_redirect(skb->ifindex, 0);
}

char _license[] SEC("license") = "GPL";
