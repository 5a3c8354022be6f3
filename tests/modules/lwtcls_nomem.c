// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fails pskb_expand_head() with -ENOMEM for packets with a certain mark.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/skbuff.h>

static unsigned int mark;
module_param(mark, uint, 0400);
MODULE_PARM_DESC(mark, "the packets' mark");

static int refused;
module_param(refused, int, 0400);
MODULE_PARM_DESC(refused, "how often pskb_expand_head() failed");

static int failing_pskb_expand_head(struct sk_buff *skb, int nhead, int ntail, gfp_t mask)
{
	return -ENOMEM;
}

static int refuse(struct kprobe *probe, struct pt_regs *regs)
{
	const struct sk_buff *skb = (struct sk_buff *)regs_get_kernel_argument(regs, 0);

	if (!mark || skb->mark != mark)
		return 0;
	WRITE_ONCE(refused, refused + 1);
	/* The function has not started: failing_pskb_expand_head() returns to its caller. */
	instruction_pointer_set(regs, (unsigned long)failing_pskb_expand_head);
	return 1;
}

/* A kprobe with a post_handler may change the instruction pointer. */
static void nothing(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe = {
	.symbol_name = "pskb_expand_head",
	.pre_handler = refuse,
	.post_handler = nothing,
};

static int __init lwtcls_nomem_init(void)
{
	return register_kprobe(&probe);
}

static void __exit lwtcls_nomem_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(lwtcls_nomem_init);
module_exit(lwtcls_nomem_exit);
MODULE_DESCRIPTION("Fails pskb_expand_head(), for a test");
MODULE_LICENSE("GPL");
