// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds RTNL while the parameter 'held' is 1, so that a test can see what needs
 * RTNL. A kernel thread takes and releases the lock, because the writer of the
 * parameter must not return to userspace with it. After a time limit the thread
 * releases the lock by itself, and 'held' reads 0.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <linux/wait.h>

#define LIMIT	(100 * HZ)

/* Both are protected by the module's parameter lock. */
static struct task_struct *holder;
static DECLARE_COMPLETION(taken);

static DECLARE_WAIT_QUEUE_HEAD(told);
static bool held;

static int hold(void *unused)
{
	rtnl_lock();
	WRITE_ONCE(held, true);
	complete(&taken);
	wait_event_interruptible_timeout(told, kthread_should_stop(), LIMIT);
	WRITE_ONCE(held, false);
	rtnl_unlock();

	/* kthread_stop() needs the thread to exist. */
	wait_event_interruptible(told, kthread_should_stop());
	return 0;
}

static void release(void)
{
	if (holder)
		kthread_stop(holder);
	holder = NULL;
}

static int take(void)
{
	struct task_struct *task;

	reinit_completion(&taken);
	task = kthread_run(hold, NULL, "lwtcls_rtnl");
	if (IS_ERR(task))
		return PTR_ERR(task);
	holder = task;
	wait_for_completion(&taken);
	return 0;
}

static int held_set(const char *value, const struct kernel_param *param)
{
	bool wanted;
	int ret;

	ret = kstrtobool(value, &wanted);
	if (ret)
		return ret;
	release();
	return wanted ? take() : 0;
}

static int held_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%d\n", READ_ONCE(held));
}

static const struct kernel_param_ops held_ops = {
	.set = held_set,
	.get = held_get,
};
module_param_cb(held, &held_ops, NULL, 0600);
MODULE_PARM_DESC(held, "whether RTNL is held");

static int __init rtnl_init(void)
{
	return 0;
}

static void __exit rtnl_exit(void)
{
	release();
}

module_init(rtnl_init);
module_exit(rtnl_exit);

MODULE_DESCRIPTION("Holds RTNL, for a test");
MODULE_LICENSE("GPL");
