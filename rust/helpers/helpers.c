// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shims for inline functions and macros, which Rust cannot call directly. One
 * shim per function or macro, one file per kernel header, sorted.
 *
 * Where Kbuild links them as bitcode, always_inline inlines them into their
 * Rust callers. Elsewhere they are an ordinary object.
 */

#include <linux/compiler_types.h>
#include "../../include/lwtcls.h"

#if defined(__BINDGEN__) || !defined(LWTCLS_INLINE_HELPERS)
#define __lwtcls_helper
#else
#define __lwtcls_helper __always_inline
#endif

#include "bottom_half.c"
#include "bpf.c"
#include "capability.c"
#include "checksum.c"
#include "dst.c"
#include "filter.c"
#include "idr.c"
#include "if_arp.c"
#include "ipv6.c"
#include "kallsyms.c"
#include "kmemleak.c"
#include "l3mdev.c"
#include "list.c"
#include "lwtunnel.c"
#include "module.c"
#include "net_namespace.c"
#include "netdevice.c"
#include "netlink.c"
#include "percpu.c"
#include "pkt_cls.c"
#include "rculist.c"
#include "rcupdate.c"
#include "route.c"
#include "rwsem.c"
#include "sch_generic.c"
#include "skbuff.c"
#include "slab.c"
#include "sock.c"
#include "spinlock.c"
#include "string.c"
#include "xfrm.c"
