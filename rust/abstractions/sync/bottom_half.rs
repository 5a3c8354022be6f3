// SPDX-License-Identifier: GPL-2.0-only

//! Disabled bottom halves.
//!
//! C header: [`include/linux/bottom_half.h`](srctree/include/linux/bottom_half.h)

use super::rcu::ReadSide;
use crate::abstractions::bindings;
use core::marker::PhantomData;
use kernel::types::NotThreadSafe;

/// A token of disabled bottom halves: the task stays on this CPU, is in an RCU read-side critical
/// section, and may run BPF programs.
///
/// No softirq interrupts the task. On PREEMPT_RT another task with disabled bottom halves may
/// preempt it.
///
/// # Invariants
///
/// Bottom halves are disabled on this CPU for `'a`.
pub(crate) struct BhDisabled<'a>(PhantomData<&'a ()>, NotThreadSafe);

impl BhDisabled<'_> {
    /// # Safety
    ///
    /// Bottom halves are disabled on this CPU for `'a`.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn assume() -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(PhantomData, NotThreadSafe)
    }

    /// Runs `f` with bottom halves disabled. Any context with interrupts enabled.
    /// C: `local_bh_disable()`, `local_bh_enable()`.
    #[inline(always)]
    pub(crate) fn with<R>(f: impl FnOnce(&BhDisabled<'_>) -> R) -> R {
        // SAFETY: An FFI call with no requirements, undone below.
        unsafe { bindings::local_bh_disable() };
        // INVARIANT: Disabled by the line above until the end of this function.
        let result = f(&BhDisabled(PhantomData, NotThreadSafe));
        // SAFETY: Disabled above.
        unsafe { bindings::local_bh_enable() };
        result
    }

    /// Returns a token of the RCU read-side critical section that disabled bottom halves are.
    #[inline(always)]
    pub(crate) fn read_side(&self) -> ReadSide<'_> {
        // SAFETY: Bottom halves are disabled by the type invariant, for as long as `self` is
        // borrowed.
        unsafe { ReadSide::assume() }
    }
}
