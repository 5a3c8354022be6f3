// SPDX-License-Identifier: GPL-2.0-only

#include <net/dst.h>

__lwtcls_helper int lwtcls_helper_dst_input(struct sk_buff *skb)
{
	return dst_input(skb);
}

__lwtcls_helper int
lwtcls_helper_dst_output(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return dst_output(net, sk, skb);
}

__lwtcls_helper void lwtcls_helper_skb_dst_drop(struct sk_buff *skb)
{
	skb_dst_drop(skb);
}

__lwtcls_helper struct net_device *
lwtcls_helper_dst_dev_rcu(const struct dst_entry *dst)
{
	return dst_dev_rcu(dst);
}
