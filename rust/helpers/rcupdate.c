// SPDX-License-Identifier: GPL-2.0-only

#include <linux/rcupdate.h>

__lwtcls_helper void lwtcls_helper_rcu_assign_pointer(void **p, void *v)
{
	rcu_assign_pointer(*(void __rcu **)p, v);
}

__lwtcls_helper void lwtcls_helper_synchronize_rcu_tasks(void)
{
	synchronize_rcu_tasks();
}

__lwtcls_helper void lwtcls_helper_call_rcu_hurry(struct rcu_head *head, rcu_callback_t func)
{
	call_rcu_hurry(head, func);
}
