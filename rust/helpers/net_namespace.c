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

__lwtcls_helper int lwtcls_helper_rt_genid_ipv6(const struct net *net)
{
#if IS_ENABLED(CONFIG_IPV6)
	return rt_genid_ipv6(net);
#else
	return 0;
#endif
}
