/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pushes a header by the kfunc, and goes on using a pointer to the packet that
 * it has from before, as the verifier lets it: SECTION is the type of the
 * program. Returns the errno, or what can be read by the old pointer.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>

int bpf_lwtcls_push_ip_encap(struct __sk_buff *skb, const void *hdr, __u32 hdr__sz) __ksym;

SEC(SECTION) int kfunc(struct __sk_buff *skb)
{
	const __u8 *data = (void *)(long)skb->data;
	/* More than there is room for in front of any packet. */
	struct {
		struct iphdr ip;
		__u8 rest[236];
	} outer = { .ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_IPIP } };
	int err;

	if ((void *)(data + 21) > (void *)(long)skb->data_end)
		return 0;
	err = bpf_lwtcls_push_ip_encap(skb, &outer, sizeof(outer));
	return err ?: data[20];
}

char _license[] SEC("license") = "GPL";
