/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One program a file, for ip and tc load every program that an object holds:
 * SECTION is its type, RETURN what it returns.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC(SECTION) int verdict(struct __sk_buff *skb)
{
	return RETURN;
}

char _license[] SEC("license") = "GPL";
