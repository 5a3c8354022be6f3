// SPDX-License-Identifier: GPL-2.0-only

#include <linux/if_arp.h>

__lwtcls_helper bool
lwtcls_helper_dev_is_mac_header_xmit(const struct net_device *dev)
{
	return dev_is_mac_header_xmit(dev);
}
