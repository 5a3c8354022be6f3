/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program that tail-calls the program with a given number, and continues if there
 * is none. Program 0 drops the packet; program 1 drops it unless the caller passes
 * a word in skb->cb. HOOK() makes the names, SECTION is the type, PASSES and DROPS
 * are verdicts. May be included more than once.
 */
SEC(SECTION) int HOOK(drop)(struct __sk_buff *skb)
{
	return DROPS;
}

SEC(SECTION) int HOOK(word)(struct __sk_buff *skb)
{
	return skb->cb[0] ? PASSES : DROPS;
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} HOOK(calls) SEC(".maps") = {
	.values = { (void *)&HOOK(drop), (void *)&HOOK(word) },
};

SEC(SECTION) int HOOK(call)(struct __sk_buff *skb)
{
	struct args *args = get_args();

	if (!args)
		return DROPS;
	__sync_fetch_and_add(&args->runs, 1);
	skb->cb[0] = args->flags;
	bpf_tail_call(skb, &HOOK(calls), args->number);
	return args->flags ? PASSES : DROPS;
}

#undef HOOK
#undef SECTION
#undef PASSES
#undef DROPS
