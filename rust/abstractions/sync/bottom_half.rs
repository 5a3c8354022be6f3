// SPDX-License-Identifier: GPL-2.0-only

//! Disabled bottom halves.
//!
//! C header: [`include/linux/bottom_half.h`](srctree/include/linux/bottom_half.h)

use super::rcu::ReadSide;
use core::marker::PhantomData;
use kernel::types::NotThreadSafe;

/// A token of disabled bottom halves: the task stays on this CPU, no softirq interrupts it, and BPF
/// programs may run.
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

    /// The RCU read side that disabled bottom halves are.
    #[inline(always)]
    pub(crate) fn read_side(&self) -> ReadSide<'_> {
        // SAFETY: Bottom halves are disabled by the type invariant, for as long as `self` is
        // borrowed.
        unsafe { ReadSide::assume() }
    }
}
