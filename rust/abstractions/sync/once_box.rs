// SPDX-License-Identifier: GPL-2.0-only

//! Values that are allocated on first use.

use core::ptr;
use kernel::{
    alloc::Flags,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

/// A value on the heap that is allocated on first use, behind one pointer.
///
/// The kernel crate's `SetOnce` stores the value inline, and one more word.
///
/// # Invariants
///
/// The pointer is null, or comes from a `KBox`. Once it is set, it does not change until the drop.
pub(crate) struct OnceBox<T>(Atomic<*mut T>);

// SAFETY: Sending a `OnceBox` sends its value, and `T` is `Send`.
unsafe impl<T: Send> Send for OnceBox<T> {}

// SAFETY: Threads that share a `OnceBox` share its value, and `T` is `Sync`. One thread may
// allocate the value and another one drop it, and `T` is `Send`.
unsafe impl<T: Send + Sync> Sync for OnceBox<T> {}

impl<T> OnceBox<T> {
    /// Creates an empty `OnceBox`.
    #[inline]
    pub(crate) const fn new() -> Self {
        // INVARIANT: The pointer is null.
        Self(Atomic::new(ptr::null_mut()))
    }

    /// Returns the value, or `None` if it is not allocated.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: By the type invariant, the pointer is null, or points to a value that lives as
        // long as `self`.
        unsafe { self.0.load(Acquire).as_ref() }
    }

    /// Returns the value. The first call allocates it, and initialises it with `f`.
    ///
    /// Returns `None` if the allocation fails. May sleep if `flags` allow it.
    #[inline(always)]
    pub(crate) fn get_or_init(&self, flags: Flags, f: impl FnOnce() -> T) -> Option<&T> {
        if let Some(value) = self.get() {
            return Some(value);
        }
        self.init(flags, f)
    }

    #[cold]
    #[inline(never)]
    fn init(&self, flags: Flags, f: impl FnOnce() -> T) -> Option<&T> {
        let new = KBox::into_raw(KBox::new(f(), flags).ok()?);
        // INVARIANT: `new` comes from a `KBox`, and is only set if the pointer is null.
        if self.0.cmpxchg(ptr::null_mut(), new, Release).is_err() {
            // SAFETY: `new` comes from `KBox::into_raw` above, and was not published.
            drop(unsafe { KBox::from_raw(new) });
        }
        self.get()
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        // Relaxed: the exclusive reference orders this after all other accesses.
        let value = self.0.load(Relaxed);
        if !value.is_null() {
            // SAFETY: The pointer comes from a `KBox` by the type invariant, and is not used after
            // this.
            drop(unsafe { KBox::from_raw(value) });
        }
    }
}
