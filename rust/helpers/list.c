// SPDX-License-Identifier: GPL-2.0-only

#include <linux/list.h>

__lwtcls_helper void lwtcls_helper_list_add(struct list_head *new,
					    struct list_head *head)
{
	list_add(new, head);
}

__lwtcls_helper void lwtcls_helper_list_del(struct list_head *entry)
{
	list_del(entry);
}

__lwtcls_helper bool lwtcls_helper_list_empty(const struct list_head *head)
{
	return list_empty(head);
}
