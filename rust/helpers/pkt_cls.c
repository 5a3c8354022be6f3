// SPDX-License-Identifier: GPL-2.0-only

#include <net/pkt_cls.h>

__lwtcls_helper void lwtcls_helper_tcf_bind_filter(struct tcf_proto *tp,
						   struct tcf_result *r,
						   unsigned long base)
{
	tcf_bind_filter(tp, r, base);
}

__lwtcls_helper void lwtcls_helper_tcf_unbind_filter(struct tcf_proto *tp,
						     struct tcf_result *r)
{
	tcf_unbind_filter(tp, r);
}

__lwtcls_helper void lwtcls_helper_tc_cls_bind_class(u32 classid,
						     unsigned long cl, void *q,
						     struct tcf_result *res,
						     unsigned long base)
{
	tc_cls_bind_class(classid, cl, q, res, base);
}

__lwtcls_helper bool lwtcls_helper_tc_cls_stats_dump(struct tcf_proto *tp,
						     struct tcf_walker *arg,
						     void *filter)
{
	return tc_cls_stats_dump(tp, arg, filter);
}

__lwtcls_helper void
lwtcls_helper_tcf_proto_update_usesw(struct tcf_proto *tp, u32 flags)
{
	tcf_proto_update_usesw(tp, flags);
}
