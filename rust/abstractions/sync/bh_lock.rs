// SPDX-License-Identifier: GPL-2.0-only

//! A global spin lock for data that softirq also changes.
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

/// A lock that is taken with bottom halves off. C: `spin_lock_bh()`.
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
    /// Nobody else initialises or takes `lock`.
    pub(in crate::abstractions) const unsafe fn new(lock: &'static GlobalLock<B>) -> Self {
        // INVARIANT: Not ready.
        Self {
            lock,
            state: Atomic::new(NEW),
        }
    }

    /// Initialises the lock. Returns whether this call has done so. Process context.
    pub(crate) fn init(&self) -> bool {
        if self.state.cmpxchg(NEW, INITIALISING, Relaxed).is_err() {
            return false;
        }
        // SAFETY: Nobody else does so, by the safety requirements of `new`, and nobody has done so
        // here, by the above.
        unsafe { self.lock.init() };
        // INVARIANT: Initialised by the line above.
        self.state.store(READY, Release);
        true
    }

    /// Runs `f` with what the lock protects. `EINVAL` without [`Self::init`]. Any context with
    /// interrupts enabled; `f` must not take the lock.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut GlobalGuard<B>) -> R) -> Result<R> {
        if self.state.load(Acquire) != READY {
            return Err(EINVAL);
        }
        Ok(BhDisabled::with(|_| f(&mut self.lock.lock())))
    }
}
