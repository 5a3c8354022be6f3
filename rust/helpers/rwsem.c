// SPDX-License-Identifier: GPL-2.0-only

#include <linux/rwsem.h>

__lwtcls_helper void lwtcls_helper_init_rwsem(struct rw_semaphore *sem)
{
	init_rwsem(sem);
}
