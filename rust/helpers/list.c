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

__lwtcls_helper void lwtcls_helper_hlist_add_head(struct hlist_node *node,
						  struct hlist_head *head)
{
	hlist_add_head(node, head);
}

__lwtcls_helper void lwtcls_helper_hlist_del_init(struct hlist_node *node)
{
	hlist_del_init(node);
}
