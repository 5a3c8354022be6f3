/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _NET_LWT_BPF_H
#define _NET_LWT_BPF_H

#include <linux/types.h>

struct sk_buff;

/* bpf_lwt_push_encap(BPF_LWT_ENCAP_IP), implemented by a module. */
typedef int (*bpf_lwt_push_encap_t)(struct sk_buff *skb, void *hdr, u32 len,
				    bool ingress);

int bpf_lwt_push_encap_register(bpf_lwt_push_encap_t push);
void bpf_lwt_push_encap_unregister(void);

#endif /* _NET_LWT_BPF_H */
