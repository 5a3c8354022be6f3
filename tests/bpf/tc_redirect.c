// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends the packet back out of the device that it is on. Of use on ingress; in
 * a classful qdisc nobody follows the redirection, but asking must do no harm.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int redirect(struct __sk_buff *skb)
{
	return bpf_redirect(skb->ifindex, 0);
}

char _license[] SEC("license") = "GPL";
