// SPDX-License-Identifier: GPL-2.0-only

#include <linux/ipv6.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>

__lwtcls_helper bool lwtcls_helper_ipv6_mod_enabled(void)
{
	return ipv6_mod_enabled();
}

/* The lookups are inline functions without CONFIG_IPV6. */
__lwtcls_helper struct dst_entry *
lwtcls_helper_ip6_dst_lookup_flow(struct net *net, const struct sock *sk, struct flowi6 *fl6,
				  const struct in6_addr *final_dst)
{
	return ip6_dst_lookup_flow(net, sk, fl6, final_dst);
}

__lwtcls_helper void lwtcls_helper_ip6_route_input(struct sk_buff *skb)
{
	ip6_route_input(skb);
}
