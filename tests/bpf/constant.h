/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Returns a number from a map of constants, so that programs with different numbers
 * have the same instructions and the same tag.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const int verdict = RETURN;

SEC("lwt_xmit") int constant(struct __sk_buff *skb)
{
	const int *at = &verdict;

	/* Hides the number from the compiler. */
	asm volatile("" : "+r"(at));
	return *at;
}

char _license[] SEC("license") = "GPL";
