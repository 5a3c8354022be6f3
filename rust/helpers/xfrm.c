// SPDX-License-Identifier: GPL-2.0-only

#include <net/xfrm.h>

/* dst_xfrm() is NULL for a bundle that queues packets. */
__lwtcls_helper bool lwtcls_helper_dst_is_xfrm(const struct dst_entry *dst)
{
	return dst_xfrm(dst) || dst->flags & DST_XFRM_QUEUE;
}

/* Policies of the netns, and of its sockets. */
__lwtcls_helper bool lwtcls_helper_xfrm_has_policy_out(const struct net *net)
{
#ifdef CONFIG_XFRM
	return READ_ONCE(net->xfrm.policy_count[XFRM_POLICY_OUT]) ||
	       READ_ONCE(net->xfrm.policy_count[XFRM_POLICY_MAX + XFRM_POLICY_OUT]);
#else
	return false;
#endif
}
