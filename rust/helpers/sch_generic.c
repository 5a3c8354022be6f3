// SPDX-License-Identifier: GPL-2.0-only

#include <net/sch_generic.h>

__lwtcls_helper struct net_device *lwtcls_helper_qdisc_dev(const struct Qdisc *qdisc)
{
	return qdisc_dev(qdisc);
}

__lwtcls_helper bool lwtcls_helper_skb_at_tc_ingress(const struct sk_buff *skb)
{
	return skb_at_tc_ingress(skb);
}

__lwtcls_helper struct qdisc_skb_cb *
lwtcls_helper_qdisc_skb_cb(const struct sk_buff *skb)
{
	return qdisc_skb_cb(skb);
}
