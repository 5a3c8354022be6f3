// SPDX-License-Identifier: GPL-2.0-only

#include <net/netlink.h>

__lwtcls_helper void *lwtcls_helper_nla_data(const struct nlattr *nla)
{
	return nla_data(nla);
}

__lwtcls_helper int lwtcls_helper_nla_len(const struct nlattr *nla)
{
	return nla_len(nla);
}

__lwtcls_helper struct nlattr *
lwtcls_helper_nla_nest_start_noflag(struct sk_buff *skb, int attrtype)
{
	return nla_nest_start_noflag(skb, attrtype);
}

__lwtcls_helper int lwtcls_helper_nla_nest_end(struct sk_buff *skb,
					       struct nlattr *start)
{
	return nla_nest_end(skb, start);
}

__lwtcls_helper void lwtcls_helper_nla_nest_cancel(struct sk_buff *skb,
						   struct nlattr *start)
{
	nla_nest_cancel(skb, start);
}
