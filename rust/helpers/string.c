// SPDX-License-Identifier: GPL-2.0-only

#include <linux/string.h>

__lwtcls_helper void lwtcls_helper_memcpy(void *dest, const void *src, size_t count)
{
	memcpy(dest, src, count);
}

__lwtcls_helper void *lwtcls_helper_kmemdup(const void *src, size_t len, gfp_t gfp)
{
	return kmemdup(src, len, gfp);
}
