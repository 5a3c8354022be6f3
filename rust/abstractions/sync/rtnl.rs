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
/// This task holds the RTNL mutex while a value of this type exists.
pub(crate) struct Rtnl(NotThreadSafe);

impl Rtnl {
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

/// What the caller of a request says about RTNL: that it holds it, or that it does not.
///
/// Requests to a classifier that needs RTNL for part of its work only come without. Whoever finds
/// that this is such a part asks for [`Self::rtnl`].
///
/// # Invariants
///
/// If the flag is set, this task holds RTNL while the value lives; if not, it does not hold it when
/// the value is made.
pub(crate) struct Caller(bool, NotThreadSafe);

impl Caller {
    /// # Safety
    ///
    /// If `held`, the calling task holds RTNL, and goes on holding it while the value lives.
    pub(in crate::abstractions) unsafe fn new(held: bool) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(held, NotThreadSafe)
    }

    /// Whether the caller holds RTNL.
    pub(crate) fn holds_rtnl(&self) -> bool {
        self.0
    }

    /// RTNL: the caller's, or taken now. May sleep. Deadlocks if it was taken already by this very
    /// method, and not let go.
    pub(crate) fn rtnl(&self) -> Held<'_> {
        Held(
            if self.0 {
                // SAFETY: By the type invariant, for as long as `self` is borrowed.
                Holder::Caller(unsafe { Rtnl::assume_held() })
            } else {
                Holder::Ours(lock())
            },
            PhantomData,
        )
    }
}

/// RTNL, held by the caller of a request or by ourselves. What it lends lasts no longer than it.
pub(crate) struct Held<'a>(Holder, PhantomData<&'a Caller>);

enum Holder {
    /// The caller lets go of it.
    Caller(Rtnl),
    /// The drop lets go of it.
    Ours(Guard),
}

impl Deref for Held<'_> {
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
