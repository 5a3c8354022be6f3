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
