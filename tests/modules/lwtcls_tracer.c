// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attaches to bpf_lwt_xmit_push_encap() as a live patch does: nothing else may
 * redirect the function's callers then.
 */
#include <linux/ftrace.h>
#include <linux/module.h>

static const char name[] = "bpf_lwt_xmit_push_encap";

static void notrace look(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			 struct ftrace_regs *fregs)
{
}

static struct ftrace_ops ops = {
	.func = look,
	.flags = FTRACE_OPS_FL_IPMODIFY,
};

static int __init lwtcls_tracer_init(void)
{
	int err;

	err = ftrace_set_filter(&ops, (unsigned char *)name, strlen(name), 1);
	if (!err)
		err = register_ftrace_function(&ops);
	if (err)
		ftrace_free_filter(&ops);
	return err;
}

static void __exit lwtcls_tracer_exit(void)
{
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
}

module_init(lwtcls_tracer_init);
module_exit(lwtcls_tracer_exit);
MODULE_DESCRIPTION("Takes a helper, as a live patch does");
MODULE_LICENSE("GPL");
