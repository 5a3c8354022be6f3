// SPDX-License-Identifier: GPL-2.0-only

#include <net/sch_generic.h>

__lwtcls_helper struct net_device *lwtcls_helper_qdisc_dev(const struct Qdisc *qdisc)
{
	return qdisc_dev(qdisc);
}
