// SPDX-License-Identifier: GPL-2.0-only

#include <net/inet_dscp.h>

__lwtcls_helper dscp_t lwtcls_helper_inet_dsfield_to_dscp(__u8 dsfield)
{
	return inet_dsfield_to_dscp(dsfield);
}
