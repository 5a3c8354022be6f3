// SPDX-License-Identifier: GPL-2.0-only

#include <linux/netdevice.h>

__lwtcls_helper unsigned int
lwtcls_helper_LL_RESERVED_SPACE(const struct net_device *dev)
{
	return LL_RESERVED_SPACE(dev);
}

__lwtcls_helper int
lwtcls_helper_____dev_forward_skb(struct net_device *dev, struct sk_buff *skb,
				  bool check_mtu)
{
	return ____dev_forward_skb(dev, skb, check_mtu);
}

__lwtcls_helper int lwtcls_helper_dev_ifindex(const struct net_device *dev)
{
	return dev->ifindex;
}

__lwtcls_helper struct net *lwtcls_helper_dev_net(const struct net_device *dev)
{
	return dev_net(dev);
}

__lwtcls_helper int lwtcls_helper_dev_queue_xmit(struct sk_buff *skb)
{
	return dev_queue_xmit(skb);
}

__lwtcls_helper bool lwtcls_helper_dev_xmit_recursion(void)
{
	return dev_xmit_recursion();
}

__lwtcls_helper void lwtcls_helper_dev_xmit_recursion_dec(void)
{
	dev_xmit_recursion_dec();
}

__lwtcls_helper void lwtcls_helper_dev_xmit_recursion_inc(void)
{
	dev_xmit_recursion_inc();
}
