// SPDX-License-Identifier: GPL-2.0-only

//! The rtnetlink mutex.
//!
//! C header: [`include/linux/rtnetlink.h`](srctree/include/linux/rtnetlink.h)

use crate::abstractions::bindings;
use core::{
    marker::PhantomData,
    ops::Deref, //
};
use kernel::types::NotThreadSafe;

/// A token of the RTNL mutex. Process context only.
///
/// # Invariants
///
/// This task holds RTNL while a value of this type exists.
pub(crate) struct Rtnl(NotThreadSafe);

impl Rtnl {
    /// # Safety
    ///
    /// The calling task holds RTNL for as long as the value lives.
    #[inline(always)]
    pub(crate) unsafe fn assume_held() -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(NotThreadSafe)
    }
}

/// A guard that releases RTNL when it is dropped.
pub(crate) struct Guard(Rtnl);

/// Takes RTNL. C: `rtnl_lock()`. May sleep. Deadlocks if this task already holds RTNL.
pub(crate) fn lock() -> Guard {
    // SAFETY: An FFI call with no requirements but process context.
    unsafe { bindings::rtnl_lock() };
    // SAFETY: Taken above, and released when the guard is dropped.
    Guard(unsafe { Rtnl::assume_held() })
}

impl Deref for Guard {
    type Target = Rtnl;

    fn deref(&self) -> &Rtnl {
        &self.0
    }
}

/// The RTNL state of the caller of a classifier's callback: held or not held.
///
/// The core calls a classifier without RTNL if the classifier needs RTNL for some requests only. A
/// callback that needs it calls [`Self::rtnl`].
///
/// # Invariants
///
/// If the flag is set, this task holds RTNL while the value lives. If not, this task does not hold
/// RTNL when the value is created.
pub(crate) struct RtnlState(bool, NotThreadSafe);

impl RtnlState {
    /// # Safety
    ///
    /// If `held`, the calling task holds RTNL for as long as the value lives.
    pub(in crate::abstractions) unsafe fn new(held: bool) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(held, NotThreadSafe)
    }

    /// Returns whether the caller holds RTNL.
    pub(crate) fn holds_rtnl(&self) -> bool {
        self.0
    }

    /// Returns RTNL: the caller's, or taken here. May sleep.
    ///
    /// Deadlocks if a previous call of this method took RTNL, and its result still lives.
    pub(crate) fn rtnl(&self) -> RtnlGuard<'_> {
        RtnlGuard(
            if self.0 {
                // SAFETY: This task holds RTNL by the type invariant, for as long as `self` is
                // borrowed.
                Holder::Caller(unsafe { Rtnl::assume_held() })
            } else {
                Holder::Ours(lock())
            },
            PhantomData,
        )
    }
}

/// RTNL, held by the caller or by this value. Tokens that are borrowed from it do not outlive it.
pub(crate) struct RtnlGuard<'a>(Holder, PhantomData<&'a RtnlState>);

enum Holder {
    /// Held by the caller, who releases it.
    Caller(Rtnl),
    /// Held by this value, and released when it is dropped.
    Ours(Guard),
}

impl Deref for RtnlGuard<'_> {
    type Target = Rtnl;

    fn deref(&self) -> &Rtnl {
        match &self.0 {
            Holder::Caller(rtnl) => rtnl,
            Holder::Ours(guard) => guard,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: This task holds RTNL by the invariant of the `Rtnl` inside.
        unsafe { bindings::rtnl_unlock() };
    }
}
