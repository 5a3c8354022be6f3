// SPDX-License-Identifier: GPL-2.0-only

#include <net/checksum.h>

__lwtcls_helper __wsum
lwtcls_helper_csum_block_add(__wsum csum, __wsum csum2, int offset)
{
	return csum_block_add(csum, csum2, offset);
}

__lwtcls_helper __wsum lwtcls_helper_csum_partial(const void *buff, int len, __wsum sum)
{
	return csum_partial(buff, len, sum);
}

__lwtcls_helper __sum16 lwtcls_helper_ip_fast_csum(const void *iph, unsigned int ihl)
{
	return ip_fast_csum(iph, ihl);
}
