// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes over the slot of the bpf encapsulation from its owner, with the same
 * operations. Restores it when unloaded.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <net/lwtunnel.h>

static struct lwtunnel_encap_ops thief_ops;
static const struct lwtunnel_encap_ops **slot, *victim;

static int __init lwtcls_thief_init(void)
{
	/* Registering fails because this is not a function, but after its address was looked up. */
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
	/* Pairs with the rcu_dereference() of readers of the slot: they see complete operations. */
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
