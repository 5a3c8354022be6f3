// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has no allocation fail while the kernel itself takes note of a module's trace
 * events and BTF: it warns of the former, and does not survive all of the latter.
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

static struct kretprobe events = {
	.kp.symbol_name = "trace_module_notify",
	.entry_handler = enter,
	.handler = leave,
	.data_size = sizeof(struct before),
};

static struct kretprobe btf = {
	.kp.symbol_name = "btf_module_notify",
	.entry_handler = enter,
	.handler = leave,
	.data_size = sizeof(struct before),
};

static struct kretprobe *probes[] = { &events, &btf };

static int __init lwtcls_spare_init(void)
{
	return register_kretprobes(probes, ARRAY_SIZE(probes));
}

static void __exit lwtcls_spare_exit(void)
{
	unregister_kretprobes(probes, ARRAY_SIZE(probes));
}

module_init(lwtcls_spare_init);
module_exit(lwtcls_spare_exit);
MODULE_DESCRIPTION("Spares the kernel failures that it does not survive, for a test");
MODULE_LICENSE("GPL");
