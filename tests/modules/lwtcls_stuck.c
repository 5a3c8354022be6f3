// SPDX-License-Identifier: GPL-2.0-only
/*
 * While loaded, ftrace fails to detach direct calls, as after it has found a bug
 * and disabled itself.
 */
#include <linux/atomic.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static atomic_t refused = ATOMIC_INIT(0);

static int get_refused(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&refused));
}

static const struct kernel_param_ops refused_ops = { .get = get_refused };
module_param_cb(refused, &refused_ops, NULL, 0400);
MODULE_PARM_DESC(refused, "number of refused detaches");

static int failing_unregister_ftrace_direct(struct ftrace_ops *ops, unsigned long addr,
					    bool free_filters)
{
	return -ENODEV;
}

static int refuse(struct kprobe *probe, struct pt_regs *regs)
{
	atomic_inc(&refused);
	/* The function has not started: the one above returns to its caller. */
	instruction_pointer_set(regs, (unsigned long)failing_unregister_ftrace_direct);
	return 1;
}

/* A kprobe with a post_handler may change the instruction pointer. */
static void nothing(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe = {
	.symbol_name = "unregister_ftrace_direct",
	.pre_handler = refuse,
	.post_handler = nothing,
};

static int __init lwtcls_stuck_init(void)
{
	return register_kprobe(&probe);
}

static void __exit lwtcls_stuck_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(lwtcls_stuck_init);
module_exit(lwtcls_stuck_exit);
MODULE_DESCRIPTION("Makes ftrace fail to detach");
MODULE_LICENSE("GPL");
