// SPDX-License-Identifier: GPL-2.0-only

#include <linux/capability.h>

/* Inline functions without CONFIG_MULTIUSER. */
__lwtcls_helper bool lwtcls_helper_capable(int cap)
{
	return capable(cap);
}

__lwtcls_helper bool lwtcls_helper_ns_capable(struct user_namespace *ns, int cap)
{
	return ns_capable(ns, cap);
}
