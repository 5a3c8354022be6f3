// SPDX-License-Identifier: GPL-2.0-only

//! Per-CPU values with exclusive access.

use super::{
    for_each_possible_cpu,
    PerCpu, //
};
use crate::abstractions::{
    bindings,
    sync::bottom_half::BhDisabled, //
};
use core::{
    cell::UnsafeCell,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr, //
};
use kernel::{
    prelude::*,
    ptr::project,
    types::NotThreadSafe, //
};

/// The value of one CPU, with the flag that it is taken. Does not share a cache line with the
/// values of other CPUs.
#[derive(Zeroable)]
#[repr(C, align(64))]
struct Slot<T> {
    taken: UnsafeCell<u32>,
    value: UnsafeCell<T>,
}

/// A `T` per CPU. One task at a time can borrow the value of its CPU.
///
/// [`Self::alloc`] allocates the values, zeroed.
pub(crate) struct PerCpuCell<T: Zeroable>(PerCpu<Slot<T>>);

// SAFETY: Only the per-CPU address is sent. Values pass from one task to another, and `T` is
// `Send`.
unsafe impl<T: Zeroable + Send> Send for PerCpuCell<T> {}

// SAFETY: Each CPU accesses its own value only, and `try_borrow` gives it to one task at a time.
unsafe impl<T: Zeroable + Send> Sync for PerCpuCell<T> {}

impl<T: Zeroable> PerCpuCell<T> {
    /// Creates a cell without values.
    pub(crate) const fn new() -> Self {
        Self(PerCpu::new())
    }

    /// Returns whether the values are allocated.
    #[inline]
    pub(crate) fn is_allocated(&self) -> bool {
        !self.0.get().is_null()
    }

    /// Allocates the values on the first call. Returns `true` if this call allocated them, `false`
    /// if they existed or the allocation failed. Does not sleep.
    pub(crate) fn alloc(&self) -> bool {
        self.0.alloc()
    }

    /// Takes the value of this CPU.
    ///
    /// Returns `None` if the values are not allocated, or if this CPU's value is taken: by the
    /// context that an interrupt has interrupted or, on PREEMPT_RT, by a task that this one has
    /// preempted.
    #[inline(always)]
    pub(crate) fn try_borrow<'a>(&'a self, _bh: &'a BhDisabled<'_>) -> Option<CpuGuard<'a, T>> {
        let slots = self.0.get();
        if slots.is_null() {
            return None;
        }
        // SAFETY: Each possible CPU has a slot, whose first field is `taken`.
        if unsafe { bindings::this_cpu_cmpxchg(slots.cast(), 0, 1) } != 0 {
            return None;
        }
        // SAFETY: Each possible CPU has a slot. The task stays on this CPU, by the token of
        // disabled bottom halves.
        let slot = unsafe { bindings::this_cpu_ptr(slots.cast()) }.cast::<Slot<T>>();
        // INVARIANT: `taken` was set above.
        // SAFETY: The slot lives until the drop.
        Some(CpuGuard(unsafe { &*slot }, NotThreadSafe))
    }
}

impl<T: Zeroable> Drop for PerCpuCell<T> {
    fn drop(&mut self) {
        let slots = self.0.get();
        if slots.is_null() || !core::mem::needs_drop::<T>() {
            return;
        }
        for_each_possible_cpu(|cpu| {
            // SAFETY: Each possible CPU has a slot.
            let slot = unsafe { bindings::per_cpu_ptr(slots.cast(), cpu) }.cast::<Slot<T>>();
            let value = UnsafeCell::raw_get(project!(slot, .value));
            // SAFETY: By `&mut self` the value is not taken, and it is not used after this.
            unsafe { ptr::drop_in_place(value) };
        });
    }
}

/// Exclusive access to one CPU's value of a [`PerCpuCell`], until it is dropped.
///
/// # Invariants
///
/// The slot is that of this CPU, and this value has set its `taken`.
pub(crate) struct CpuGuard<'a, T>(&'a Slot<T>, NotThreadSafe);

impl<T> Deref for CpuGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: This is the only access to the value, by the type invariant.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for CpuGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: This is the only access to the value, by the type invariant.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for CpuGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        barrier();
        // SAFETY: The slot is that of this CPU, by the type invariant. A context that finds it
        // taken does not write to it.
        unsafe { self.0.taken.get().write_volatile(0) };
    }
}

/// Keeps the compiler from moving memory accesses across. C: `barrier()`.
#[inline(always)]
fn barrier() {
    // SAFETY: The assembly contains no instruction.
    unsafe { core::arch::asm!("", options(nostack, preserves_flags)) };
}
