/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The callbacks (rust/stubs/entries.c), and the Rust functions that they call.
 */
#ifndef _LWTCLS_ENTRIES_H
#define _LWTCLS_ENTRIES_H

#include <net/lwtunnel.h>
#include <net/pkt_cls.h>
#include <net/sch_generic.h>

int lwtcls_bpf_build_state(struct net *net, struct nlattr *encap, unsigned int family,
			   const void *cfg, struct lwtunnel_state **ts,
			   struct netlink_ext_ack *extack);
int lwtcls_rust_bpf_build_state(struct net *net, struct nlattr *encap,
				unsigned int family, const void *cfg,
				struct lwtunnel_state **ts,
				struct netlink_ext_ack *extack);
void lwtcls_bpf_destroy_state(struct lwtunnel_state *lws);
void lwtcls_rust_bpf_destroy_state(struct lwtunnel_state *lws);
int lwtcls_bpf_input(struct sk_buff *skb);
int lwtcls_rust_bpf_input(struct sk_buff *skb);
int lwtcls_bpf_output(struct net *net, struct sock *sk, struct sk_buff *skb);
int lwtcls_rust_bpf_output(struct net *net, struct sock *sk, struct sk_buff *skb);
int lwtcls_bpf_xmit(struct sk_buff *skb);
int lwtcls_rust_bpf_xmit(struct sk_buff *skb);
int lwtcls_bpf_fill_encap_info(struct sk_buff *skb, struct lwtunnel_state *lws);
int lwtcls_rust_bpf_fill_encap_info(struct sk_buff *skb, struct lwtunnel_state *lws);
int lwtcls_bpf_encap_nlsize(struct lwtunnel_state *lws);
int lwtcls_rust_bpf_encap_nlsize(struct lwtunnel_state *lws);
int lwtcls_bpf_encap_cmp(struct lwtunnel_state *a, struct lwtunnel_state *b);
int lwtcls_rust_bpf_encap_cmp(struct lwtunnel_state *a, struct lwtunnel_state *b);

int lwtcls_cls_bpf_classify(struct sk_buff *skb, const struct tcf_proto *tp,
			    struct tcf_result *res);
int lwtcls_rust_cls_bpf_classify(struct sk_buff *skb, const struct tcf_proto *tp,
				 struct tcf_result *res);
int lwtcls_cls_bpf_init(struct tcf_proto *tp);
int lwtcls_rust_cls_bpf_init(struct tcf_proto *tp);
void lwtcls_cls_bpf_destroy(struct tcf_proto *tp, bool rtnl_held,
			    struct netlink_ext_ack *extack);
void lwtcls_rust_cls_bpf_destroy(struct tcf_proto *tp, bool rtnl_held,
				 struct netlink_ext_ack *extack);
void *lwtcls_cls_bpf_get(struct tcf_proto *tp, u32 handle);
void *lwtcls_rust_cls_bpf_get(struct tcf_proto *tp, u32 handle);
void lwtcls_cls_bpf_put(struct tcf_proto *tp, void *filter);
void lwtcls_rust_cls_bpf_put(struct tcf_proto *tp, void *filter);
int lwtcls_cls_bpf_change(struct net *net, struct sk_buff *in_skb, struct tcf_proto *tp,
			  unsigned long base, u32 handle, struct nlattr **tca,
			  void **arg, u32 flags, struct netlink_ext_ack *extack);
int lwtcls_rust_cls_bpf_change(struct net *net, struct sk_buff *in_skb,
			       struct tcf_proto *tp, unsigned long base, u32 handle,
			       struct nlattr **tca, void **arg, u32 flags,
			       struct netlink_ext_ack *extack);
int lwtcls_cls_bpf_delete(struct tcf_proto *tp, void *filter, bool *last,
			  bool rtnl_held, struct netlink_ext_ack *extack);
int lwtcls_rust_cls_bpf_delete(struct tcf_proto *tp, void *filter, bool *last,
			       bool rtnl_held, struct netlink_ext_ack *extack);
bool lwtcls_cls_bpf_delete_empty(struct tcf_proto *tp);
bool lwtcls_rust_cls_bpf_delete_empty(struct tcf_proto *tp);
void lwtcls_cls_bpf_walk(struct tcf_proto *tp, struct tcf_walker *walker,
			 bool rtnl_held);
void lwtcls_rust_cls_bpf_walk(struct tcf_proto *tp, struct tcf_walker *walker,
			      bool rtnl_held);
int lwtcls_cls_bpf_reoffload(struct tcf_proto *tp, bool add, flow_setup_cb_t *cb,
			     void *cb_priv, struct netlink_ext_ack *extack);
int lwtcls_rust_cls_bpf_reoffload(struct tcf_proto *tp, bool add, flow_setup_cb_t *cb,
				  void *cb_priv, struct netlink_ext_ack *extack);
void lwtcls_cls_bpf_bind_class(void *filter, u32 classid, unsigned long class,
			       void *qdisc, unsigned long base);
void lwtcls_rust_cls_bpf_bind_class(void *filter, u32 classid, unsigned long class,
				    void *qdisc, unsigned long base);
int lwtcls_cls_bpf_dump(struct net *net, struct tcf_proto *tp, void *filter,
			struct sk_buff *skb, struct tcmsg *tcm, bool rtnl_held);
int lwtcls_rust_cls_bpf_dump(struct net *net, struct tcf_proto *tp, void *filter,
			     struct sk_buff *skb, struct tcmsg *tcm, bool rtnl_held);
int lwtcls_cls_bpf_terse_dump(struct net *net, struct tcf_proto *tp, void *filter,
			      struct sk_buff *skb, struct tcmsg *tcm, bool rtnl_held);
int lwtcls_rust_cls_bpf_terse_dump(struct net *net, struct tcf_proto *tp, void *filter,
				   struct sk_buff *skb, struct tcmsg *tcm,
				   bool rtnl_held);

#endif /* _LWTCLS_ENTRIES_H */
