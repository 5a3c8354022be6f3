// SPDX-License-Identifier: GPL-2.0-only

#include <linux/netdevice.h>

__lwtcls_helper unsigned int
lwtcls_helper_LL_RESERVED_SPACE(const struct net_device *dev)
{
	return LL_RESERVED_SPACE(dev);
}
