// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes a byte of a process each time that pskb_expand_head() runs on its behalf,
 * as a racing thread could: turns the first byte of an IPv6 header into that of an
 * IPv4 header, and back.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

static int process;
module_param(process, int, 0400);
MODULE_PARM_DESC(process, "the process");

static unsigned long at;
module_param(at, ulong, 0400);
MODULE_PARM_DESC(at, "address of the byte in the process");

static int change(struct kprobe *probe, struct pt_regs *regs)
{
	u8 __user *byte = (u8 __user *)at;
	u8 now;

	if (!in_task() || task_tgid_nr(current) != process)
		return 0;
	pagefault_disable();
	if (!get_user(now, byte))
		put_user((u8)(now ^ 0x45 ^ 0x60), byte);
	pagefault_enable();
	return 0;
}

static struct kprobe probe = {
	.symbol_name = "pskb_expand_head",
	.pre_handler = change,
};

static int __init lwtcls_user_write_init(void)
{
	return register_kprobe(&probe);
}

static void __exit lwtcls_user_write_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(lwtcls_user_write_init);
module_exit(lwtcls_user_write_exit);
MODULE_DESCRIPTION("Changes a byte of user memory in pskb_expand_head(), for a test");
MODULE_LICENSE("GPL");
