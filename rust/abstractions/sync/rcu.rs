// SPDX-License-Identifier: GPL-2.0-only

//! A token of an RCU read side that somebody else entered.
//!
//! [`kernel::sync::rcu::Guard`] enters the read side itself. The packet path is called inside one
//! already (with bottom halves off, which the kernel counts as one) and must not pay for another.

use core::marker::PhantomData;
use kernel::types::NotThreadSafe;

/// Reads a pointer that is published through RCU. What is read through it is read afterwards, on all
/// processors that Rust is for. C: `rcu_dereference_raw()`.
///
/// # Safety
///
/// `place` is valid, and whoever writes it uses `rcu_assign_pointer()`, or its like.
#[inline(always)]
pub(in crate::abstractions) unsafe fn dereference<T>(place: *const *mut T) -> *mut T {
    // SAFETY: By the safety requirements of this function. Volatile, as READ_ONCE() is.
    unsafe { place.read_volatile() }
}

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
