// SPDX-License-Identifier: GPL-2.0-only
/*
 * While loaded, the kernel cannot resolve addresses to names, like a kernel built
 * without the names of its variables.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

/* Runs in place of the function, and returns to its caller. */
static noinline notrace void nothing(void)
{
}

/* The result is an empty name. */
static int say_nothing(struct kprobe *probe, struct pt_regs *regs)
{
	*(char *)regs_get_kernel_argument(regs, 0) = '\0';
	regs_set_return_value(regs, 0);
	instruction_pointer_set(regs, (unsigned long)nothing);
	return 1;
}

static struct kprobe probe = {
	.symbol_name = "sprint_symbol_no_offset",
	.pre_handler = say_nothing,
};

static int __init lwtcls_mute_init(void)
{
	return register_kprobe(&probe);
}

static void __exit lwtcls_mute_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(lwtcls_mute_init);
module_exit(lwtcls_mute_exit);
MODULE_DESCRIPTION("Has the kernel not say how something is called, for a test");
MODULE_LICENSE("GPL");
