/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Returns a number that is in a map of constants, so that the instructions, and
 * the tag, are the same whatever it is.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const int verdict = RETURN;

SEC("lwt_xmit") int constant(struct __sk_buff *skb)
{
	const int *at = &verdict;

	/* Not a number that the compiler knows. */
	asm volatile("" : "+r"(at));
	return *at;
}

char _license[] SEC("license") = "GPL";
