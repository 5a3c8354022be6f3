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

__lwtcls_helper void
lwtcls_helper_tc_cls_common_offload_init(struct flow_cls_common_offload *cls_common,
					 const struct tcf_proto *tp, u32 flags,
					 struct netlink_ext_ack *extack)
{
	tc_cls_common_offload_init(cls_common, tp, flags, extack);
}

__lwtcls_helper struct Qdisc *lwtcls_helper_tcf_block_q(struct tcf_block *block)
{
	return tcf_block_q(block);
}

__lwtcls_helper bool lwtcls_helper_tcf_block_shared(struct tcf_block *block)
{
	return tcf_block_shared(block);
}

__lwtcls_helper int lwtcls_helper_tcf_exts_exec(struct sk_buff *skb,
						struct tcf_exts *exts,
						struct tcf_result *res)
{
	return tcf_exts_exec(skb, exts, res);
}

__lwtcls_helper bool lwtcls_helper_tcf_exts_get_net(struct tcf_exts *exts)
{
	return tcf_exts_get_net(exts);
}

__lwtcls_helper bool lwtcls_helper_tcf_exts_has_actions(struct tcf_exts *exts)
{
	return tcf_exts_has_actions(exts);
}

__lwtcls_helper int lwtcls_helper_tcf_exts_init(struct tcf_exts *exts,
						struct net *net, int action,
						int police)
{
	return tcf_exts_init(exts, net, action, police);
}

__lwtcls_helper void lwtcls_helper_tcf_exts_put_net(struct tcf_exts *exts)
{
	tcf_exts_put_net(exts);
}

__lwtcls_helper void
lwtcls_helper_tcf_proto_update_usesw(struct tcf_proto *tp, u32 flags)
{
	tcf_proto_update_usesw(tp, flags);
}
