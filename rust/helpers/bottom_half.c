// SPDX-License-Identifier: GPL-2.0-only

#include <linux/bottom_half.h>
#include <linux/preempt.h>

__lwtcls_helper void lwtcls_helper_local_bh_disable(void)
{
	local_bh_disable();
}

__lwtcls_helper void lwtcls_helper_local_bh_enable(void)
{
	local_bh_enable();
}
