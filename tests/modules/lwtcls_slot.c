// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers an encapsulation without operations in the slot of bpf, which is then
 * taken as by a kernel with the encapsulation built in.
 */
#include <linux/module.h>
#include <net/lwtunnel.h>

static const struct lwtunnel_encap_ops slot_ops = {
	.owner = THIS_MODULE,
};

static int __init slot_init(void)
{
	return lwtunnel_encap_add_ops(&slot_ops, LWTUNNEL_ENCAP_BPF);
}

static void __exit slot_exit(void)
{
	lwtunnel_encap_del_ops(&slot_ops, LWTUNNEL_ENCAP_BPF);
}

module_init(slot_init);
module_exit(slot_exit);

MODULE_DESCRIPTION("Takes the slot of the bpf encapsulation, for a test");
MODULE_LICENSE("GPL");
