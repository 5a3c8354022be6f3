// SPDX-License-Identifier: GPL-2.0-only

#include <linux/rculist.h>

__lwtcls_helper void lwtcls_helper_INIT_LIST_HEAD_RCU(struct list_head *list)
{
	INIT_LIST_HEAD_RCU(list);
}

__lwtcls_helper void lwtcls_helper_list_add_rcu(struct list_head *new,
						struct list_head *head)
{
	list_add_rcu(new, head);
}

__lwtcls_helper void lwtcls_helper_list_del_rcu(struct list_head *entry)
{
	list_del_rcu(entry);
}

__lwtcls_helper void lwtcls_helper_list_replace_rcu(struct list_head *old,
						    struct list_head *new)
{
	list_replace_rcu(old, new);
}
