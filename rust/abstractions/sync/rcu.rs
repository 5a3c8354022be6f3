// SPDX-License-Identifier: GPL-2.0-only

//! Tokens of an RCU read-side critical section that a caller entered.
//!
//! [`kernel::sync::rcu::Guard`] enters a critical section itself. The packet path is called inside
//! one already (disabled bottom halves are one), and must not pay for another.

use core::marker::PhantomData;
use kernel::types::NotThreadSafe;

/// Loads a pointer that is published through RCU. C: `rcu_dereference_raw()`.
///
/// The address dependency orders reads through the pointer after this load, on all architectures
/// that Rust for Linux supports.
///
/// # Safety
///
/// `place` is valid, and its writers use `rcu_assign_pointer()` or an equivalent.
#[inline(always)]
pub(in crate::abstractions) unsafe fn dereference<T>(place: *const *mut T) -> *mut T {
    // SAFETY: By the safety requirements of this function. The read is volatile, like
    // `READ_ONCE()`.
    unsafe { place.read_volatile() }
}

/// A token of an RCU read-side critical section: RCU-protected objects are not freed during `'a`.
///
/// # Invariants
///
/// An RCU or RCU-bh read-side critical section lasts at least for `'a` on this CPU.
pub(crate) struct ReadSide<'a>(PhantomData<&'a ()>, NotThreadSafe);

impl ReadSide<'_> {
    /// # Safety
    ///
    /// The caller is in an RCU or RCU-bh read-side critical section that outlasts `'a`.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(PhantomData, NotThreadSafe)
    }
}
