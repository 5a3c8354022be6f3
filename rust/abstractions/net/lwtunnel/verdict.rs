// SPDX-License-Identifier: GPL-2.0-only

//! What a hook did with its packet.

use crate::abstractions::{
    bindings,
    compat::{
        ENOBUFS,
        EOPNOTSUPP, //
    },
    net::skbuff::Skb, //
};
use kernel::prelude::*;

/// What became of a packet that a hook on input has passed on: 0, `NET_RX_*` or an errno.
///
/// # Invariants
///
/// It is not `-EOPNOTSUPP`, for which the core frees the packet once more.
pub(crate) struct Received(pub(super) c_int);

impl Received {
    /// A result of `dst_input()`, or of a handler like it.
    #[inline(always)]
    pub(in crate::abstractions) fn new(code: c_int) -> Self {
        // INVARIANT: By the call.
        Self(not_eopnotsupp(code))
    }
}

/// What became of a packet that a hook on output or xmit has passed on: 0, or an errno.
///
/// # Invariants
///
/// It is not positive, as `LWTUNNEL_XMIT_CONTINUE` is, for which the core goes on with the packet;
/// and not `-EOPNOTSUPP`, for which it frees the packet once more.
pub(crate) struct Sent(pub(super) c_int);

impl Sent {
    /// The packet is gone, and its sender need not know more.
    pub(crate) const OK: Self = Self(0);

    /// A result of `dst_output()`, or of a handler like it. Congestion is no error. C:
    /// `net_xmit_errno()`.
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

/// The core frees a packet once more if it sees `EOPNOTSUPP`, which for it means that nobody took
/// the packet.
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

/// Who has the packet after a hook. An error from a hook means that the packet was freed.
#[must_use]
pub(crate) enum Verdict<R> {
    /// The route does with it what it would do without an encapsulation.
    Continue(Skb),
    /// It went elsewhere, with this result.
    Consumed(R),
}

/// What became of a packet on xmit, as the core is told: `LWTUNNEL_XMIT_CONTINUE`, 0 or an errno.
///
/// A number and no [`Verdict`], because to translate a verdict at the end costs 10 instructions for each
/// packet. On this hook every answer is a number that the core knows.
#[must_use]
pub(crate) struct Xmit(pub(super) c_int);

impl Xmit {
    /// The packet goes on, and gets its MAC header.
    #[inline(always)]
    pub(crate) fn go_on(skb: Skb) -> Self {
        // The core has the pointer still.
        skb.into_raw();
        Self(bindings::LWTUNNEL_XMIT_CONTINUE as c_int)
    }

    /// It went elsewhere, or was freed.
    #[inline(always)]
    pub(crate) fn gone(how: Result<Sent>) -> Self {
        Self(match how {
            Ok(Sent(code)) => code,
            Err(error) => not_eopnotsupp(error.to_errno()),
        })
    }
}
