// SPDX-License-Identifier: GPL-2.0-only

//! Results of the hooks.

use crate::abstractions::{
    bindings,
    compat::{
        ENOBUFS,
        EOPNOTSUPP, //
    },
    net::skbuff::Skb, //
};
use kernel::prelude::*;

/// The result for a packet that an input hook passed on: 0, `NET_RX_*` or an errno.
///
/// # Invariants
///
/// Not `-EOPNOTSUPP`, for which the core frees the packet a second time.
pub(crate) struct Received(pub(super) c_int);

impl Received {
    /// Converts the return value of `dst_input()`, or of a similar handler.
    #[inline(always)]
    pub(in crate::abstractions) fn new(code: c_int) -> Self {
        // INVARIANT: `not_eopnotsupp()` replaces that value.
        Self(not_eopnotsupp(code))
    }
}

/// The result for a packet that an output or xmit hook passed on: 0 or an errno.
///
/// # Invariants
///
/// Not positive, because `LWTUNNEL_XMIT_CONTINUE` makes the core continue with the packet. Not
/// `-EOPNOTSUPP`, for which the core frees the packet a second time.
pub(crate) struct Sent(pub(super) c_int);

impl Sent {
    /// The packet is consumed, and the sender gets no error.
    pub(crate) const OK: Self = Self(0);

    /// Converts the return value of `dst_output()`, or of a similar handler. Congestion is no
    /// error. C: `net_xmit_errno()`.
    #[inline(always)]
    pub(in crate::abstractions) fn new(code: c_int) -> Self {
        if code == 0 {
            return Self::OK;
        }
        // INVARIANT: 0 or -ENOBUFS.
        if code == bindings::NET_XMIT_CN as c_int {
            Self::OK
        } else {
            Self(ENOBUFS.to_errno())
        }
    }
}

#[cfg(lwtcls_kunit)]
impl From<Received> for c_int {
    fn from(received: Received) -> Self {
        received.0
    }
}

#[cfg(lwtcls_kunit)]
impl From<Xmit> for c_int {
    fn from(xmit: Xmit) -> Self {
        xmit.0
    }
}

#[cfg(lwtcls_kunit)]
impl From<Sent> for c_int {
    fn from(sent: Sent) -> Self {
        sent.0
    }
}

/// Replaces `-EOPNOTSUPP` by `-EINVAL`: `-EOPNOTSUPP` tells the core that no callback took the
/// packet, and the core frees it.
#[inline(always)]
pub(super) fn not_eopnotsupp(code: c_int) -> c_int {
    #[cold]
    #[inline(never)]
    fn einval() -> c_int {
        EINVAL.to_errno()
    }

    if code == EOPNOTSUPP.to_errno() {
        einval()
    } else {
        code
    }
}

/// The result of a hook. If a hook returns an error, it has freed the packet.
#[must_use]
pub(crate) enum Verdict<R> {
    /// The route handles the packet as it would without an encapsulation.
    Continue(Skb),
    /// The hook passed the packet on, with this result.
    Consumed(R),
}

/// The return value of the xmit hook: `LWTUNNEL_XMIT_CONTINUE`, 0 or an errno.
///
/// A number and not a [`Verdict`], whose conversion costs 10 instructions for each packet. All
/// results of this hook are numbers that the core knows.
#[must_use]
pub(crate) struct Xmit(pub(super) c_int);

impl Xmit {
    /// The core continues with the packet, which gets its MAC header.
    #[inline(always)]
    pub(crate) fn cont(skb: Skb) -> Self {
        // The core still has the pointer.
        skb.into_raw();
        Self(bindings::LWTUNNEL_XMIT_CONTINUE as c_int)
    }

    /// The hook passed the packet on, or freed it.
    #[inline(always)]
    pub(crate) fn consumed(how: Result<Sent>) -> Self {
        Self(match how {
            Ok(Sent(code)) => code,
            Err(error) => not_eopnotsupp(error.to_errno()),
        })
    }
}
