// SPDX-License-Identifier: GPL-2.0-only

//! Drop reasons.
//!
//! C header: [`include/net/dropreason-core.h`](srctree/include/net/dropreason-core.h)

use crate::abstractions::bindings;

/// The reason why a packet is dropped, as shown by dropwatch and the `skb:kfree_skb` tracepoint.
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
    /// No other reason applies.
    NOT_SPECIFIED = skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED;
    /// The packet has no MAC header, but the device needs one.
    DEV_HDR = skb_drop_reason_SKB_DROP_REASON_DEV_HDR;
    /// A header is missing or not in the linear data.
    HDR_TRUNC = skb_drop_reason_SKB_DROP_REASON_HDR_TRUNC;
    /// The packet does not have the expected protocol.
    INVALID_PROTO = skb_drop_reason_SKB_DROP_REASON_INVALID_PROTO;
    /// There is no input route.
    IP_INNOROUTES = skb_drop_reason_SKB_DROP_REASON_IP_INNOROUTES;
    /// There is no output route.
    IP_OUTNOROUTES = skb_drop_reason_SKB_DROP_REASON_IP_OUTNOROUTES;
    /// IPv6 is disabled (`ipv6.disable=1`).
    IPV6DISABLED = skb_drop_reason_SKB_DROP_REASON_IPV6DISABLED;
    /// An allocation failed.
    NOMEM = skb_drop_reason_SKB_DROP_REASON_NOMEM;
    /// There is no device to send the packet to.
    NO_TX_TARGET = skb_drop_reason_SKB_DROP_REASON_NO_TX_TARGET;
    /// The limit of nested transmissions was reached, see `dev_xmit_recursion()`.
    RECURSION_LIMIT = skb_drop_reason_SKB_DROP_REASON_RECURSION_LIMIT;
    /// The protocol is neither IPv4 nor IPv6.
    UNHANDLED_PROTO = skb_drop_reason_SKB_DROP_REASON_UNHANDLED_PROTO;
}

impl DropReason {
    /// Wraps a reason that the kernel returned.
    #[inline(always)]
    pub(in crate::abstractions) const fn from_raw(reason: bindings::skb_drop_reason) -> Self {
        Self(reason)
    }

    /// Returns the kernel's value.
    #[inline(always)]
    pub(in crate::abstractions) const fn as_raw(self) -> bindings::skb_drop_reason {
        self.0
    }
}
