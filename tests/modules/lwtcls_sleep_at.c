// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts a process to sleep each time that it reaches one of some functions, so that
 * a test can act in between. It sleeps for the nth time until the parameter 'go' is
 * at least n. The sleeping process blocks neither a CPU nor an RCU grace period.
 */
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/sched.h>

static char *symbols[2];
static int symbol_count;
module_param_array_named(symbol, symbols, charp, &symbol_count, 0400);
MODULE_PARM_DESC(symbol, "the functions; their callers must be allowed to sleep");

static int process;
module_param(process, int, 0400);
MODULE_PARM_DESC(process, "the process");

static unsigned int here;
module_param(here, uint, 0400);
MODULE_PARM_DESC(here, "how often the process has reached a function");

static unsigned int go;
module_param(go, uint, 0600);
MODULE_PARM_DESC(go, "how often the process may continue");

static atomic_t arrivals = ATOMIC_INIT(0);

/* Number of sleeping tasks, for which ftrace does not wait. */
static atomic_t asleep = ATOMIC_INIT(0);

/*
 * Without FTRACE_OPS_FL_RECURSION and FTRACE_OPS_FL_RCU, ftrace calls this with
 * preemption enabled, if nothing else traces the function.
 */
static void notrace sleep(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			  struct ftrace_regs *fregs)
{
	unsigned int arrival;

	if (!in_task() || task_tgid_nr(current) != process)
		return;
	atomic_inc(&asleep);
	/* Either the exit sees the task asleep, or the task sees that it may go on. */
	smp_mb__after_atomic();
	arrival = atomic_inc_return(&arrivals);
	WRITE_ONCE(here, arrival);
	while (READ_ONCE(go) < arrival)
		msleep(20);
	atomic_dec(&asleep);
}

static struct ftrace_ops ops = {
	.func = sleep,
};

static int __init lwtcls_sleep_at_init(void)
{
	int err = 0;

	if (!symbol_count || process <= 0)
		return -EINVAL;
	for (int i = 0; i < symbol_count && !err; i++)
		err = ftrace_set_filter(&ops, (unsigned char *)symbols[i], strlen(symbols[i]), !i);
	if (!err)
		err = register_ftrace_function(&ops);
	if (err)
		ftrace_free_filter(&ops);
	return err;
}

static void __exit lwtcls_sleep_at_exit(void)
{
	/* Pairs with the barrier in sleep(). */
	smp_store_mb(go, UINT_MAX);
	while (atomic_read(&asleep))
		msleep(20);
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
}

module_init(lwtcls_sleep_at_init);
module_exit(lwtcls_sleep_at_exit);
MODULE_DESCRIPTION("Puts a process to sleep in functions, for a test");
MODULE_LICENSE("GPL");
