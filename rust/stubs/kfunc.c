// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kfunc as BPF programs see it. It is C for its type information, which is
 * not made of Rust.
 */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <linux/skbuff.h>
#include "../../include/push_encap.h"

/* What push_encap_entry.S goes by, and cannot include. */
static_assert(BPF_LWT_ENCAP_IP == 2);

__bpf_kfunc_start_defs();

/**
 * bpf_lwtcls_push_ip_encap() - Put a header in front of the packet of a route
 * @skb: the packet that the program runs on
 * @hdr: IPv4 or IPv6 header, and what comes between it and the packet
 * @hdr__sz: bytes at @hdr, 256 at most
 *
 * What bpf_lwt_push_encap() does with BPF_LWT_ENCAP_IP, for programs of the types
 * LWT_IN and LWT_XMIT. Pointers into the packet may be used further, but are to
 * what it was before: take skb->data anew.
 *
 * Return: 0; -EINVAL for a header that is none; -ENOTSUPP, -EPROTONOSUPPORT or
 * -EMSGSIZE for a packet that could not be cut into segments with it; -ENOMEM.
 * The packet is as it was on error.
 */
__bpf_kfunc int bpf_lwtcls_push_ip_encap(struct __sk_buff *skb, const void *hdr,
					 u32 hdr__sz)
{
	return lwtcls_push_encap_kfunc((struct sk_buff *)skb, hdr, hdr__sz);
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(lwtcls_kfunc_ids)
BTF_ID_FLAGS(func, bpf_lwtcls_push_ip_encap)
BTF_KFUNCS_END(lwtcls_kfunc_ids)

const struct btf_kfunc_id_set lwtcls_kfunc_set = {
	.owner = THIS_MODULE,
	.set = &lwtcls_kfunc_ids,
	.filter = lwtcls_kfunc_filter,
};
