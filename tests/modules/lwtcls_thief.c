// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes the slot of the bpf encapsulation over from whoever has it, and has all
 * done as before. Gives it back when it goes.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <net/lwtunnel.h>

static struct lwtunnel_encap_ops thief_ops;
static const struct lwtunnel_encap_ops **slot, *victim;

static int __init lwtcls_thief_init(void)
{
	/* Refused, for it is no function, but not before it was looked up. */
	struct kprobe probe = { .symbol_name = "lwtun_encaps" };

	if (!register_kprobe(&probe))
		unregister_kprobe(&probe);
	if (!probe.addr)
		return -ENOENT;
	slot = (const struct lwtunnel_encap_ops **)probe.addr + LWTUNNEL_ENCAP_BPF;
	victim = READ_ONCE(*slot);
	if (!victim)
		return -ENOENT;
	thief_ops = *victim;
	/* Pairs with the rcu_dereference() of whoever looks at the slot: what it finds is whole. */
	smp_store_release(slot, &thief_ops);
	return 0;
}

static void __exit lwtcls_thief_exit(void)
{
	WRITE_ONCE(*slot, victim);
	synchronize_rcu();
	synchronize_rcu_tasks();
}

module_init(lwtcls_thief_init);
module_exit(lwtcls_thief_exit);
MODULE_DESCRIPTION("Takes the bpf encapsulation over, for a test");
MODULE_LICENSE("GPL");
