// SPDX-License-Identifier: GPL-2.0-only

#include <linux/spinlock.h>

__lwtcls_helper void lwtcls_helper_spin_lock_init(spinlock_t *lock)
{
	spin_lock_init(lock);
}
