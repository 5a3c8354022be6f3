// SPDX-License-Identifier: GPL-2.0-only

//! Why a packet is freed.
//!
//! C header: [`include/net/dropreason-core.h`](srctree/include/net/dropreason-core.h)

use crate::abstractions::bindings;

/// Why a packet is freed, as `dropwatch` and the `skb:kfree_skb` tracepoint show it.
#[derive(Clone, Copy)]
pub(crate) struct DropReason(bindings::skb_drop_reason);

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident = $value:ident;)*) => {
        impl DropReason {
            $(
                $(#[$doc])*
                pub(crate) const $name: Self = Self(bindings::$value);
            )*
        }
    };
}

drop_reasons! {
    /// None of the others.
    NOT_SPECIFIED = skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED;
    /// There is no MAC header where a device wants one.
    DEV_HDR = skb_drop_reason_SKB_DROP_REASON_DEV_HDR;
    /// A header is not all there.
    HDR_TRUNC = skb_drop_reason_SKB_DROP_REASON_HDR_TRUNC;
    /// The protocol is not the one that it has to be.
    INVALID_PROTO = skb_drop_reason_SKB_DROP_REASON_INVALID_PROTO;
    /// No route on the way in.
    IP_INNOROUTES = skb_drop_reason_SKB_DROP_REASON_IP_INNOROUTES;
    /// No route on the way out.
    IP_OUTNOROUTES = skb_drop_reason_SKB_DROP_REASON_IP_OUTNOROUTES;
    /// The kernel was booted without IPv6.
    IPV6DISABLED = skb_drop_reason_SKB_DROP_REASON_IPV6DISABLED;
    /// No memory.
    NOMEM = skb_drop_reason_SKB_DROP_REASON_NOMEM;
    /// No device to send it by.
    NO_TX_TARGET = skb_drop_reason_SKB_DROP_REASON_NO_TX_TARGET;
    /// It was sent within the sending of others too deeply already.
    RECURSION_LIMIT = skb_drop_reason_SKB_DROP_REASON_RECURSION_LIMIT;
    /// Nobody routes such a protocol.
    UNHANDLED_PROTO = skb_drop_reason_SKB_DROP_REASON_UNHANDLED_PROTO;
}

impl DropReason {
    /// One that the kernel gave.
    #[inline(always)]
    pub(in crate::abstractions) const fn from_raw(reason: bindings::skb_drop_reason) -> Self {
        Self(reason)
    }

    /// For the kernel.
    #[inline(always)]
    pub(in crate::abstractions) const fn as_raw(self) -> bindings::skb_drop_reason {
        self.0
    }
}
