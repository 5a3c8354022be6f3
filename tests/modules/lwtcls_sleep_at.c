// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts a process to sleep in a function, until the parameter 'go' is 1, so that a
 * test can act in between. The sleeping process blocks neither a CPU nor an RCU
 * grace period.
 */
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/sched.h>

static char *symbol;
module_param(symbol, charp, 0400);
MODULE_PARM_DESC(symbol, "the function; its callers must be allowed to sleep");

static int process;
module_param(process, int, 0400);
MODULE_PARM_DESC(process, "the process");

static bool here;
module_param(here, bool, 0400);
MODULE_PARM_DESC(here, "whether the process has reached the function");

static bool go;
module_param(go, bool, 0600);
MODULE_PARM_DESC(go, "whether the process may continue");

/* Number of sleeping tasks, for which ftrace does not wait. */
static atomic_t asleep = ATOMIC_INIT(0);

/*
 * Without FTRACE_OPS_FL_RECURSION and FTRACE_OPS_FL_RCU, ftrace calls this with
 * preemption enabled, if nothing else traces the function.
 */
static void notrace sleep(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			  struct ftrace_regs *fregs)
{
	if (!in_task() || task_tgid_nr(current) != process)
		return;
	atomic_inc(&asleep);
	/* Either the exit sees the task asleep, or the task sees that it may go on. */
	smp_mb__after_atomic();
	WRITE_ONCE(here, true);
	while (!READ_ONCE(go))
		msleep(20);
	atomic_dec(&asleep);
}

static struct ftrace_ops ops = {
	.func = sleep,
};

static int __init lwtcls_sleep_at_init(void)
{
	int err;

	if (!symbol || process <= 0)
		return -EINVAL;
	err = ftrace_set_filter(&ops, (unsigned char *)symbol, strlen(symbol), 1);
	if (!err)
		err = register_ftrace_function(&ops);
	if (err)
		ftrace_free_filter(&ops);
	return err;
}

static void __exit lwtcls_sleep_at_exit(void)
{
	/* Pairs with the barrier in sleep(). */
	smp_store_mb(go, true);
	while (atomic_read(&asleep))
		msleep(20);
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
}

module_init(lwtcls_sleep_at_init);
module_exit(lwtcls_sleep_at_exit);
MODULE_DESCRIPTION("Puts a process to sleep in a function, for a test");
MODULE_LICENSE("GPL");
