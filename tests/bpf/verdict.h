/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One program per file, because ip and tc load every program of an object. SECTION
 * is its type, RETURN its return value.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC(SECTION) int verdict(struct __sk_buff *skb)
{
	return RETURN;
}

char _license[] SEC("license") = "GPL";
