// SPDX-License-Identifier: GPL-2.0-only

#include <net/checksum.h>

__lwtcls_helper __sum16 lwtcls_helper_ip_fast_csum(const void *iph, unsigned int ihl)
{
	return ip_fast_csum(iph, ihl);
}
