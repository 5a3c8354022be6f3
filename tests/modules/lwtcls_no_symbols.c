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
static int return_empty(struct kprobe *probe, struct pt_regs *regs)
{
	*(char *)regs_get_kernel_argument(regs, 0) = '\0';
	regs_set_return_value(regs, 0);
	instruction_pointer_set(regs, (unsigned long)nothing);
	return 1;
}

static struct kprobe probe = {
	.symbol_name = "sprint_symbol_no_offset",
	.pre_handler = return_empty,
};

static int __init lwtcls_no_symbols_init(void)
{
	return register_kprobe(&probe);
}

static void __exit lwtcls_no_symbols_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(lwtcls_no_symbols_init);
module_exit(lwtcls_no_symbols_exit);
MODULE_DESCRIPTION("Makes the kernel resolve addresses to empty names, for a test");
MODULE_LICENSE("GPL");
