// SPDX-License-Identifier: GPL-2.0-only

//! The rtnetlink mutex.
//!
//! C header: [`include/linux/rtnetlink.h`](srctree/include/linux/rtnetlink.h)

use crate::abstractions::bindings;
use core::ops::Deref;
use kernel::types::NotThreadSafe;

/// Evidence that the RTNL mutex is held. Process context only.
///
/// # Invariants
///
/// This task holds the RTNL mutex while a value of this type exists.
pub(crate) struct Rtnl(NotThreadSafe);

impl Rtnl {
    /// Takes the caller's word for it.
    ///
    /// # Safety
    ///
    /// The calling task holds RTNL, and goes on holding it while the value lives.
    #[inline(always)]
    pub(crate) unsafe fn assume_held() -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(NotThreadSafe)
    }
}

/// Holds RTNL until it is dropped.
pub(crate) struct Guard(Rtnl);

/// Takes RTNL. C: `rtnl_lock()`. May sleep; deadlocks if this task holds it already.
pub(crate) fn lock() -> Guard {
    // SAFETY: An FFI call with no requirements but process context.
    unsafe { bindings::rtnl_lock() };
    // SAFETY: Taken just now, released by the drop of the guard.
    Guard(unsafe { Rtnl::assume_held() })
}

impl Deref for Guard {
    type Target = Rtnl;

    fn deref(&self) -> &Rtnl {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: This task holds RTNL by the invariant of the `Rtnl` inside.
        unsafe { bindings::rtnl_unlock() };
    }
}
