/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What C and Rust call of each other for pushed headers.
 */
#ifndef _LWTCLS_PUSH_ENCAP_H
#define _LWTCLS_PUSH_ENCAP_H

#include <linux/types.h>

struct bpf_prog;
struct btf_kfunc_id_set;
struct sk_buff;

/* In Rust. */
int lwtcls_push_encap_kfunc(struct sk_buff *skb, const void *hdr, u32 len);
int lwtcls_kfunc_filter(const struct bpf_prog *prog, u32 kfunc_id);

/* In C. */
extern const struct btf_kfunc_id_set lwtcls_kfunc_set;

#endif /* _LWTCLS_PUSH_ENCAP_H */
