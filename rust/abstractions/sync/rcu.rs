// SPDX-License-Identifier: GPL-2.0-only

//! A token of an RCU read side that somebody else entered.
//!
//! [`kernel::sync::rcu::Guard`] enters the read side itself. The packet path is called inside one
//! already (with bottom halves off, which the kernel counts as one) and must not pay for another.

use core::marker::PhantomData;
use kernel::types::NotThreadSafe;

/// A token of an RCU read side: what is published through RCU stays where it is for `'a`.
///
/// # Invariants
///
/// An RCU or RCU-bh read side critical section lasts at least for `'a` on this CPU.
pub(crate) struct ReadSide<'a>(PhantomData<&'a ()>, NotThreadSafe);

impl ReadSide<'_> {
    /// # Safety
    ///
    /// The caller is in an RCU or RCU-bh read side critical section that outlasts `'a`.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(PhantomData, NotThreadSafe)
    }
}
