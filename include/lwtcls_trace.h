/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM lwtcls

#if !defined(_LWTCLS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _LWTCLS_TRACE_H

#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/tracepoint.h>
#include <net/dropreason-core.h>

/* Prints drop reasons by name. */
#undef FN
#define FN(reason) TRACE_DEFINE_ENUM(SKB_DROP_REASON_##reason);
DEFINE_DROP_REASON(FN, FN)
#undef FN
#define FN(reason) { SKB_DROP_REASON_##reason, #reason },
#define FNe(reason) { SKB_DROP_REASON_##reason, #reason }

/* A packet on a route that is freed although no program dropped it. */
TRACE_EVENT(exception,

	TP_PROTO(const struct sk_buff *skb, const struct net_device *dev,
		 const char *hook, u32 prog_id, u32 ret, int error,
		 enum skb_drop_reason reason),

	TP_ARGS(skb, dev, hook, prog_id, ret, error, reason),

	TP_STRUCT__entry(
		__field(const void *, skbaddr)
		__string(dev, dev ? dev->name : "")
		__string(hook, hook)
		__field(u32, prog_id)
		__field(u32, ret)
		__field(int, error)
		__field(enum skb_drop_reason, reason)
		__field(u16, protocol)
		__field(u32, len)
	),

	TP_fast_assign(
		__entry->skbaddr = skb;
		__assign_str(dev);
		__assign_str(hook);
		__entry->prog_id = prog_id;
		__entry->ret = ret;
		__entry->error = error;
		__entry->reason = reason;
		__entry->protocol = ntohs(skb->protocol);
		__entry->len = skb->len;
	),

	TP_printk("hook=%s prog_id=%u ret=%u error=%d reason=%s skbaddr=%p protocol=0x%04x len=%u dev=%s",
		  __get_str(hook), __entry->prog_id, __entry->ret, __entry->error,
		  __print_symbolic(__entry->reason, DEFINE_DROP_REASON(FN, FNe)),
		  __entry->skbaddr, __entry->protocol, __entry->len,
		  __get_str(dev))
);

#undef FN
#undef FNe

#endif /* _LWTCLS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE lwtcls_trace
#include <trace/define_trace.h>
