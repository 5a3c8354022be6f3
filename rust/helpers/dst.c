// SPDX-License-Identifier: GPL-2.0-only

#include <net/dst.h>
#include <net/ip6_fib.h>
#include <net/net_namespace.h>

__lwtcls_helper int lwtcls_helper_dst_input(struct sk_buff *skb)
{
	return dst_input(skb);
}

__lwtcls_helper int
lwtcls_helper_dst_output(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return dst_output(net, sk, skb);
}

__lwtcls_helper struct dst_entry *lwtcls_helper_dst_check(struct dst_entry *dst,
							  u32 cookie)
{
	return dst_check(dst, cookie);
}

__lwtcls_helper u32 lwtcls_helper_rt6_get_cookie(const struct dst_entry *dst)
{
	return rt6_get_cookie(dst_rt6_info(dst));
}

__lwtcls_helper void lwtcls_helper_dst_hold(struct dst_entry *dst)
{
	dst_hold(dst);
}

/* An IPv6 route needs the dst_ops of its netns to be freed. */
__lwtcls_helper bool lwtcls_helper_dst_outlives_net(const struct dst_entry *dst)
{
#if IS_ENABLED(CONFIG_IPV6)
	return dst->ops->family != AF_INET6 || dst->ops == &init_net.ipv6.ip6_dst_ops;
#else
	return true;
#endif
}
