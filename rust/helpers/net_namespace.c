// SPDX-License-Identifier: GPL-2.0-only

#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <net/net_namespace.h>

__lwtcls_helper struct net *lwtcls_helper_current_net(void)
{
	return current->nsproxy ? current->nsproxy->net_ns : NULL;
}

__lwtcls_helper unsigned int lwtcls_helper_net_inum(const struct net *net)
{
	return net->ns.inum;
}

__lwtcls_helper struct user_namespace *lwtcls_helper_net_user_ns(const struct net *net)
{
	return net->user_ns;
}

/* rt_genid_ipv6(), read before what is looked up afterwards. Pairs with fib6_new_sernum(). */
__lwtcls_helper int lwtcls_helper_rt_genid_ipv6_acquire(const struct net *net)
{
#if IS_ENABLED(CONFIG_IPV6)
	return atomic_read_acquire(&net->ipv6.fib6_sernum);
#else
	return 0;
#endif
}
