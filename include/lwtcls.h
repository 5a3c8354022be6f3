/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Input of bindgen. The bindings of the kernel crate do not cover lightweight
 * tunnels and classifiers.
 */
#ifndef _LWTCLS_H
#define _LWTCLS_H

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/ftrace.h>
#include <linux/idr.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/lwtunnel.h>
#include <linux/module.h>
#include <linux/netlink.h>
#include <linux/rculist.h>
#include <linux/rtnetlink.h>
#include <linux/rwsem.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <net/checksum.h>
#include <net/dst.h>
#include <net/inet_dscp.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/ip_fib.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/lwtunnel.h>
#include <net/netlink.h>
#include <net/pkt_cls.h>
#include <net/route.h>
#include <net/sch_generic.h>
#include <net/tcp.h>
#include <uapi/linux/bpf.h>
#include <uapi/linux/pkt_cls.h>

/* rust/stubs/trace.c */
void lwtcls_trace_exception(const struct sk_buff *skb, const char *hook, u32 prog_id,
			    u32 ret, int error, enum skb_drop_reason reason);

#ifdef __BINDGEN__
/* Macros that bindgen cannot evaluate. Kbuild strips the prefix from the names. */
const gfp_t LWTCLS_CONST_GFP_ATOMIC = GFP_ATOMIC;
const gfp_t LWTCLS_CONST_GFP_KERNEL = GFP_KERNEL;
const gfp_t LWTCLS_CONST_GFP_KERNEL_ACCOUNT = GFP_KERNEL_ACCOUNT;
const gfp_t LWTCLS_CONST_GFP_NOWAIT = GFP_NOWAIT;
const gfp_t LWTCLS_CONST___GFP_NOWARN = __GFP_NOWARN;
const unsigned int LWTCLS_CONST_KSYM_SYMBOL_LEN = KSYM_SYMBOL_LEN;
const __u32 LWTCLS_CONST_IPSKB_L3SLAVE = IPSKB_L3SLAVE;
const __be32 LWTCLS_CONST_IPV6_FLOWINFO_MASK = IPV6_FLOWINFO_MASK;
const unsigned int LWTCLS_CONST_TC_SETUP_CLSBPF_VALUE = TC_SETUP_CLSBPF;
const xa_mark_t LWTCLS_CONST_XA_PRESENT = XA_PRESENT;
const __u16 LWTCLS_CONST_LWTUNNEL_STATE_INPUT_REDIRECT = LWTUNNEL_STATE_INPUT_REDIRECT;
const __u16 LWTCLS_CONST_LWTUNNEL_STATE_OUTPUT_REDIRECT = LWTUNNEL_STATE_OUTPUT_REDIRECT;
const __u16 LWTCLS_CONST_LWTUNNEL_STATE_XMIT_REDIRECT = LWTUNNEL_STATE_XMIT_REDIRECT;
#endif

#endif /* _LWTCLS_H */
