// SPDX-License-Identifier: GPL-2.0-only
/*
 * The callbacks of the encapsulation and of the classifier, under the names of the C
 * implementations with the prefix "lwtcls_". Each calls a Rust function.
 *
 * They are C because tracers depend on the C compiler: ftrace needs the call that it emits
 * at function entry, and BPF programs need BTF. Rust functions have neither.
 */

#include "../../include/lwtcls_entries.h"

int lwtcls_bpf_build_state(struct net *net, struct nlattr *encap, unsigned int family,
			   const void *cfg, struct lwtunnel_state **ts,
			   struct netlink_ext_ack *extack)
{
	return lwtcls_rust_bpf_build_state(net, encap, family, cfg, ts, extack);
}

void lwtcls_bpf_destroy_state(struct lwtunnel_state *lws)
{
	lwtcls_rust_bpf_destroy_state(lws);
}

int lwtcls_bpf_input(struct sk_buff *skb)
{
	return lwtcls_rust_bpf_input(skb);
}

int lwtcls_bpf_output(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return lwtcls_rust_bpf_output(net, sk, skb);
}

int lwtcls_bpf_xmit(struct sk_buff *skb)
{
	return lwtcls_rust_bpf_xmit(skb);
}

int lwtcls_bpf_fill_encap_info(struct sk_buff *skb, struct lwtunnel_state *lws)
{
	return lwtcls_rust_bpf_fill_encap_info(skb, lws);
}

int lwtcls_bpf_encap_nlsize(struct lwtunnel_state *lws)
{
	return lwtcls_rust_bpf_encap_nlsize(lws);
}

int lwtcls_bpf_encap_cmp(struct lwtunnel_state *a, struct lwtunnel_state *b)
{
	return lwtcls_rust_bpf_encap_cmp(a, b);
}

int lwtcls_cls_bpf_classify(struct sk_buff *skb, const struct tcf_proto *tp,
			    struct tcf_result *res)
{
	return lwtcls_rust_cls_bpf_classify(skb, tp, res);
}

int lwtcls_cls_bpf_init(struct tcf_proto *tp)
{
	return lwtcls_rust_cls_bpf_init(tp);
}

void lwtcls_cls_bpf_destroy(struct tcf_proto *tp, bool rtnl_held,
			    struct netlink_ext_ack *extack)
{
	lwtcls_rust_cls_bpf_destroy(tp, rtnl_held, extack);
}

void *lwtcls_cls_bpf_get(struct tcf_proto *tp, u32 handle)
{
	return lwtcls_rust_cls_bpf_get(tp, handle);
}

void lwtcls_cls_bpf_put(struct tcf_proto *tp, void *filter)
{
	lwtcls_rust_cls_bpf_put(tp, filter);
}

int lwtcls_cls_bpf_change(struct net *net, struct sk_buff *in_skb, struct tcf_proto *tp,
			  unsigned long base, u32 handle, struct nlattr **tca,
			  void **arg, u32 flags, struct netlink_ext_ack *extack)
{
	return lwtcls_rust_cls_bpf_change(net, in_skb, tp, base, handle, tca, arg,
					  flags, extack);
}

int lwtcls_cls_bpf_delete(struct tcf_proto *tp, void *filter, bool *last,
			  bool rtnl_held, struct netlink_ext_ack *extack)
{
	return lwtcls_rust_cls_bpf_delete(tp, filter, last, rtnl_held, extack);
}

bool lwtcls_cls_bpf_delete_empty(struct tcf_proto *tp)
{
	return lwtcls_rust_cls_bpf_delete_empty(tp);
}

void lwtcls_cls_bpf_walk(struct tcf_proto *tp, struct tcf_walker *walker,
			 bool rtnl_held)
{
	lwtcls_rust_cls_bpf_walk(tp, walker, rtnl_held);
}

int lwtcls_cls_bpf_reoffload(struct tcf_proto *tp, bool add, flow_setup_cb_t *cb,
			     void *cb_priv, struct netlink_ext_ack *extack)
{
	return lwtcls_rust_cls_bpf_reoffload(tp, add, cb, cb_priv, extack);
}

void lwtcls_cls_bpf_bind_class(void *filter, u32 classid, unsigned long class,
			       void *qdisc, unsigned long base)
{
	lwtcls_rust_cls_bpf_bind_class(filter, classid, class, qdisc, base);
}

int lwtcls_cls_bpf_dump(struct net *net, struct tcf_proto *tp, void *filter,
			struct sk_buff *skb, struct tcmsg *tcm, bool rtnl_held)
{
	return lwtcls_rust_cls_bpf_dump(net, tp, filter, skb, tcm, rtnl_held);
}

int lwtcls_cls_bpf_terse_dump(struct net *net, struct tcf_proto *tp, void *filter,
			      struct sk_buff *skb, struct tcmsg *tcm, bool rtnl_held)
{
	return lwtcls_rust_cls_bpf_terse_dump(net, tp, filter, skb, tcm, rtnl_held);
}

/*
 * The ops tables that are registered are built in Rust. These unused ones make the compiler
 * check the types of the functions above against the members.
 */
static const struct lwtunnel_encap_ops encap_types __maybe_unused = {
	.build_state = lwtcls_bpf_build_state,
	.destroy_state = lwtcls_bpf_destroy_state,
	.input = lwtcls_bpf_input,
	.output = lwtcls_bpf_output,
	.xmit = lwtcls_bpf_xmit,
	.fill_encap = lwtcls_bpf_fill_encap_info,
	.get_encap_size = lwtcls_bpf_encap_nlsize,
	.cmp_encap = lwtcls_bpf_encap_cmp,
};

static const struct tcf_proto_ops cls_types __maybe_unused = {
	.classify = lwtcls_cls_bpf_classify,
	.init = lwtcls_cls_bpf_init,
	.destroy = lwtcls_cls_bpf_destroy,
	.get = lwtcls_cls_bpf_get,
	.put = lwtcls_cls_bpf_put,
	.change = lwtcls_cls_bpf_change,
	.delete = lwtcls_cls_bpf_delete,
	.delete_empty = lwtcls_cls_bpf_delete_empty,
	.walk = lwtcls_cls_bpf_walk,
	.reoffload = lwtcls_cls_bpf_reoffload,
	.bind_class = lwtcls_cls_bpf_bind_class,
	.dump = lwtcls_cls_bpf_dump,
	.terse_dump = lwtcls_cls_bpf_terse_dump,
};
