// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes over the slot of the bpf encapsulation from its owner, with the same
 * operations. Restores it when unloaded.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <net/lwtunnel.h>

static struct lwtunnel_encap_ops takeover_ops;
static const struct lwtunnel_encap_ops **slot, *original;

static int __init lwtcls_slot_takeover_init(void)
{
	/* Registering fails because this is not a function, but after its address was looked up. */
	struct kprobe probe = { .symbol_name = "lwtun_encaps" };

	if (!register_kprobe(&probe))
		unregister_kprobe(&probe);
	if (!probe.addr)
		return -ENOENT;
	slot = (const struct lwtunnel_encap_ops **)probe.addr + LWTUNNEL_ENCAP_BPF;
	original = READ_ONCE(*slot);
	if (!original)
		return -ENOENT;
	takeover_ops = *original;
	/* Pairs with the rcu_dereference() of readers of the slot: they see complete operations. */
	smp_store_release(slot, &takeover_ops);
	return 0;
}

static void __exit lwtcls_slot_takeover_exit(void)
{
	WRITE_ONCE(*slot, original);
	synchronize_rcu();
	synchronize_rcu_tasks();
}

module_init(lwtcls_slot_takeover_init);
module_exit(lwtcls_slot_takeover_exit);
MODULE_DESCRIPTION("Takes over the slot of the bpf encapsulation, for a test");
MODULE_LICENSE("GPL");
