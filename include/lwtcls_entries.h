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
void lwtcls_bpf_destroy_state(struct lwtunnel_state *lws);
int lwtcls_bpf_input(struct sk_buff *skb);
int lwtcls_bpf_output(struct net *net, struct sock *sk, struct sk_buff *skb);
int lwtcls_bpf_xmit(struct sk_buff *skb);
int lwtcls_bpf_fill_encap_info(struct sk_buff *skb, struct lwtunnel_state *lws);
int lwtcls_bpf_encap_nlsize(struct lwtunnel_state *lws);
int lwtcls_bpf_encap_cmp(struct lwtunnel_state *a, struct lwtunnel_state *b);

int lwtcls_cls_bpf_classify(struct sk_buff *skb, const struct tcf_proto *tp,
			    struct tcf_result *res);
int lwtcls_cls_bpf_init(struct tcf_proto *tp);
void lwtcls_cls_bpf_destroy(struct tcf_proto *tp, bool rtnl_held,
			    struct netlink_ext_ack *extack);
void *lwtcls_cls_bpf_get(struct tcf_proto *tp, u32 handle);
void lwtcls_cls_bpf_put(struct tcf_proto *tp, void *filter);
int lwtcls_cls_bpf_change(struct net *net, struct sk_buff *in_skb, struct tcf_proto *tp,
			  unsigned long base, u32 handle, struct nlattr **tca,
			  void **arg, u32 flags, struct netlink_ext_ack *extack);
int lwtcls_cls_bpf_delete(struct tcf_proto *tp, void *filter, bool *last,
			  bool rtnl_held, struct netlink_ext_ack *extack);
bool lwtcls_cls_bpf_delete_empty(struct tcf_proto *tp);
void lwtcls_cls_bpf_walk(struct tcf_proto *tp, struct tcf_walker *walker,
			 bool rtnl_held);
int lwtcls_cls_bpf_reoffload(struct tcf_proto *tp, bool add, flow_setup_cb_t *cb,
			     void *cb_priv, struct netlink_ext_ack *extack);
void lwtcls_cls_bpf_bind_class(void *filter, u32 classid, unsigned long class,
			       void *qdisc, unsigned long base);
int lwtcls_cls_bpf_dump(struct net *net, struct tcf_proto *tp, void *filter,
			struct sk_buff *skb, struct tcmsg *tcm, bool rtnl_held);
int lwtcls_cls_bpf_terse_dump(struct net *net, struct tcf_proto *tp, void *filter,
			      struct sk_buff *skb, struct tcmsg *tcm, bool rtnl_held);

/* Each Rust function has the type of the callback that calls it. */
typeof(lwtcls_bpf_build_state) lwtcls_rust_bpf_build_state;
typeof(lwtcls_bpf_destroy_state) lwtcls_rust_bpf_destroy_state;
typeof(lwtcls_bpf_input) lwtcls_rust_bpf_input;
typeof(lwtcls_bpf_output) lwtcls_rust_bpf_output;
typeof(lwtcls_bpf_xmit) lwtcls_rust_bpf_xmit;
typeof(lwtcls_bpf_fill_encap_info) lwtcls_rust_bpf_fill_encap_info;
typeof(lwtcls_bpf_encap_nlsize) lwtcls_rust_bpf_encap_nlsize;
typeof(lwtcls_bpf_encap_cmp) lwtcls_rust_bpf_encap_cmp;
typeof(lwtcls_cls_bpf_classify) lwtcls_rust_cls_bpf_classify;
typeof(lwtcls_cls_bpf_init) lwtcls_rust_cls_bpf_init;
typeof(lwtcls_cls_bpf_destroy) lwtcls_rust_cls_bpf_destroy;
typeof(lwtcls_cls_bpf_get) lwtcls_rust_cls_bpf_get;
typeof(lwtcls_cls_bpf_put) lwtcls_rust_cls_bpf_put;
typeof(lwtcls_cls_bpf_change) lwtcls_rust_cls_bpf_change;
typeof(lwtcls_cls_bpf_delete) lwtcls_rust_cls_bpf_delete;
typeof(lwtcls_cls_bpf_delete_empty) lwtcls_rust_cls_bpf_delete_empty;
typeof(lwtcls_cls_bpf_walk) lwtcls_rust_cls_bpf_walk;
typeof(lwtcls_cls_bpf_reoffload) lwtcls_rust_cls_bpf_reoffload;
typeof(lwtcls_cls_bpf_bind_class) lwtcls_rust_cls_bpf_bind_class;
typeof(lwtcls_cls_bpf_dump) lwtcls_rust_cls_bpf_dump;
typeof(lwtcls_cls_bpf_terse_dump) lwtcls_rust_cls_bpf_terse_dump;

#endif /* _LWTCLS_ENTRIES_H */
