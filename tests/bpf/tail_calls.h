/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program that calls another one, by the number that it is given, and goes on
 * where there is none. The first of those that it can call drops the packet; the
 * second one does unless a word is handed over to it. HOOK() makes the names,
 * SECTION is the type, PASSES and DROPS are verdicts. May be included again.
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
	struct given *given = given_now();

	if (!given)
		return DROPS;
	__sync_fetch_and_add(&given->runs, 1);
	skb->cb[0] = given->flags;
	bpf_tail_call(skb, &HOOK(calls), given->number);
	return given->flags ? PASSES : DROPS;
}

#undef HOOK
#undef SECTION
#undef PASSES
#undef DROPS
