// SPDX-License-Identifier: GPL-2.0-only

//! A global spinlock for data that softirqs also change.
//!
//! C header: [`include/linux/spinlock.h`](srctree/include/linux/spinlock.h)

use super::bottom_half::BhDisabled;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        lock::spinlock::SpinLockBackend,
        GlobalGuard,
        GlobalLock,
        GlobalLockBackend, //
    }, //
};

const NEW: u32 = 0;
const INITIALISING: u32 = 1;
const READY: u32 = 2;

/// A lock that is taken with bottom halves disabled. C: `spin_lock_bh()`.
///
/// # Invariants
///
/// If `state` is `READY`, the lock is initialised.
pub(crate) struct BhLock<B: GlobalLockBackend<Backend = SpinLockBackend> + 'static> {
    lock: &'static GlobalLock<B>,
    state: Atomic<u32>,
}

impl<B: GlobalLockBackend<Backend = SpinLockBackend> + 'static> BhLock<B> {
    /// # Safety
    ///
    /// No other code initialises or takes `lock`.
    pub(in crate::abstractions) const unsafe fn new(lock: &'static GlobalLock<B>) -> Self {
        // INVARIANT: The state is not `READY`.
        Self {
            lock,
            state: Atomic::new(NEW),
        }
    }

    /// Initialises the lock. Returns whether this call did so. Process context.
    pub(crate) fn init(&self) -> bool {
        if self.state.cmpxchg(NEW, INITIALISING, Relaxed).is_err() {
            return false;
        }
        // SAFETY: No other code initialises the lock, by the safety requirements of `new`. `state`
        // ensures that this line runs only once.
        unsafe { self.lock.init() };
        // INVARIANT: Initialised by the line above.
        self.state.store(READY, Release);
        true
    }

    /// Runs `f` with the data that the lock protects.
    ///
    /// Fails with `EINVAL` before [`Self::init`]. Any context with interrupts enabled. `f` must not
    /// take the lock.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut GlobalGuard<B>) -> R) -> Result<R> {
        if self.state.load(Acquire) != READY {
            return Err(EINVAL);
        }
        Ok(BhDisabled::with(|_| f(&mut self.lock.lock())))
    }
}
