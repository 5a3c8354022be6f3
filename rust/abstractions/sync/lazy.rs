// SPDX-License-Identifier: GPL-2.0-only

//! Values that are only made when somebody wants them.

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

/// A value on the heap, behind one pointer. It takes no memory until it is first wanted. The kernel
/// crate's `SetOnce` has the value in it, and a word more.
///
/// # Invariants
///
/// The pointer is null, or comes out of a box, and then stays the same until the drop.
pub(crate) struct Lazy<T>(Atomic<*mut T>);

// SAFETY: What is sent is the value, which is sendable.
unsafe impl<T: Send> Send for Lazy<T> {}

// SAFETY: Whoever shares it can share the value, and make one that another one drops.
unsafe impl<T: Send + Sync> Sync for Lazy<T> {}

impl<T> Lazy<T> {
    /// Without a value.
    #[inline]
    pub(crate) const fn new() -> Self {
        // INVARIANT: Null.
        Self(Atomic::new(ptr::null_mut()))
    }

    /// The value, if it was made.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: Null, or a value that stays as long as `self`, by the type invariant.
        unsafe { self.0.load(Acquire).as_ref() }
    }

    /// The value, made by `f` if there is none. `None` if there is no memory for it. May sleep if
    /// `flags` say so.
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
        // INVARIANT: Out of a box, and only if there was none.
        if self.0.cmpxchg(ptr::null_mut(), new, Release).is_err() {
            // SAFETY: Taken out of its box above, and nobody else knows it.
            drop(unsafe { KBox::from_raw(new) });
        }
        self.get()
    }
}

impl<T> Drop for Lazy<T> {
    fn drop(&mut self) {
        // Whoever is alone with the value has seen what others wrote.
        let value = self.0.load(Relaxed);
        if !value.is_null() {
            // SAFETY: Out of a box by the type invariant, and this is the end of it.
            drop(unsafe { KBox::from_raw(value) });
        }
    }
}
