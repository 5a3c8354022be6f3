// SPDX-License-Identifier: GPL-2.0-only

#include <net/lwtunnel.h>

__lwtcls_helper bool lwtcls_helper_lwtstate_get_not_zero(struct lwtunnel_state *lws)
{
	return atomic_inc_not_zero(&lws->refcnt);
}

__lwtcls_helper void lwtcls_helper_lwtstate_put(struct lwtunnel_state *lws)
{
	lwtstate_put(lws);
}
