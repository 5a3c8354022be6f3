// SPDX-License-Identifier: GPL-2.0-only

#include <linux/slab.h>

__lwtcls_helper void *lwtcls_helper_kmalloc(size_t size, gfp_t gfp)
{
	return kmalloc(size, gfp);
}
