// SPDX-License-Identifier: GPL-2.0-only

#include <net/l3mdev.h>

__lwtcls_helper struct net_device *
lwtcls_helper_l3mdev_master_dev_rcu(const struct net_device *dev)
{
	return l3mdev_master_dev_rcu(dev);
}
