// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoint. Only the kernel's C macros can define one.
 */

#define CREATE_TRACE_POINTS
#include "../../include/lwtcls_trace.h"

#include "../../include/lwtcls.h"

/**
 * lwtcls_trace_exception() - trace a packet that is about to be freed
 * @skb: the packet
 * @hook: "in", "out" or "xmit"
 * @prog_id: the id of the program that ran
 * @ret: the program's return value
 * @error: the errno of the failure
 * @reason: the drop reason that the packet is freed with
 */
void lwtcls_trace_exception(const struct sk_buff *skb, const char *hook, u32 prog_id,
			    u32 ret, int error, enum skb_drop_reason reason)
{
	trace_exception(skb, skb->dev, hook, prog_id, ret, error, reason);
}
