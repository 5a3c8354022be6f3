// SPDX-License-Identifier: GPL-2.0-only

#include <linux/kmemleak.h>

__lwtcls_helper void lwtcls_helper_kmemleak_not_leak(const void *ptr)
{
	kmemleak_not_leak(ptr);
}
