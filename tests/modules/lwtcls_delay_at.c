// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delays the callers of a function about lwtcls, until the parameter 'go' is 1, so
 * that a test can act in between. A kprobe cannot sleep, so the caller keeps its CPU
 * busy, and the delay has a limit.
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/string.h>

static char *symbol;
module_param(symbol, charp, 0400);
MODULE_PARM_DESC(symbol, "the function; its first argument is a module");

static unsigned int limit = 5000;
module_param(limit, uint, 0400);
MODULE_PARM_DESC(limit, "milliseconds after which the caller continues");

static bool here;
module_param(here, bool, 0400);
MODULE_PARM_DESC(here, "whether a caller has reached the function");

static bool go;
module_param(go, bool, 0600);
MODULE_PARM_DESC(go, "whether callers may continue");

static int delay(struct kprobe *probe, struct pt_regs *regs)
{
	struct module *module = (struct module *)regs_get_kernel_argument(regs, 0);
	unsigned int left = limit;

	if (!module || strcmp(module->name, "lwtcls"))
		return 0;
	WRITE_ONCE(here, true);
	while (!READ_ONCE(go) && left--)
		mdelay(1);
	return 0;
}

static struct kprobe probe = {
	.pre_handler = delay,
};

static int __init lwtcls_delay_at_init(void)
{
	if (!symbol)
		return -EINVAL;
	probe.symbol_name = symbol;
	return register_kprobe(&probe);
}

static void __exit lwtcls_delay_at_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(lwtcls_delay_at_init);
module_exit(lwtcls_delay_at_exit);
MODULE_DESCRIPTION("Delays the callers of a function about lwtcls, for a test");
MODULE_LICENSE("GPL");
