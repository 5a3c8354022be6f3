// SPDX-License-Identifier: GPL-2.0-only

#include <net/route.h>

__lwtcls_helper struct rtable *
lwtcls_helper_ip_route_output_key(struct net *net, struct flowi4 *flp)
{
	return ip_route_output_key(net, flp);
}
