// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disables fault injection while the kernel processes a module's trace events and
 * BTF: it warns about failures in the former, and crashes on some in the latter.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>

struct before {
	unsigned int fail_nth;
};

static int enter(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct before *before = (struct before *)instance->data;

	before->fail_nth = READ_ONCE(current->fail_nth);
	WRITE_ONCE(current->fail_nth, 0);
	return 0;
}

static int leave(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	const struct before *before = (struct before *)instance->data;

	WRITE_ONCE(current->fail_nth, before->fail_nth);
	return 0;
}

/* By address, because the kernel has two functions with one of these names. */
static struct kretprobe probes[] = {
	[0 ... 7] = {
		.entry_handler = enter,
		.handler = leave,
		.data_size = sizeof(struct before),
	},
};

static struct kretprobe *registered[ARRAY_SIZE(probes)];
static unsigned long functions[ARRAY_SIZE(probes)];
static int count;
module_param_array(functions, ulong, &count, 0400);
MODULE_PARM_DESC(functions, "addresses of functions in which no allocation fails");

static int __init lwtcls_fail_exempt_init(void)
{
	for (int i = 0; i < count; i++) {
		probes[i].kp.addr = (void *)functions[i];
		registered[i] = &probes[i];
	}
	return register_kretprobes(registered, count);
}

static void __exit lwtcls_fail_exempt_exit(void)
{
	unregister_kretprobes(registered, count);
}

module_init(lwtcls_fail_exempt_init);
module_exit(lwtcls_fail_exempt_exit);
MODULE_DESCRIPTION("Exempts functions from fault injection, for a test");
MODULE_LICENSE("GPL");
