// SPDX-License-Identifier: GPL-2.0-only

//! Values that a CPU lends to one task at a time.

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
    types::NotThreadSafe, //
};

/// What a CPU has of a [`PerCpuCell`]. It shares no cache line with anybody's.
#[derive(Zeroable)]
#[repr(C, align(64))]
struct Slot<T> {
    taken: UnsafeCell<u32>,
    value: UnsafeCell<T>,
}

/// A `T` for each CPU, which only that CPU touches. They take no memory until they are allocated, and
/// are zero then.
pub(crate) struct PerCpuCell<T: Zeroable>(PerCpu<Slot<T>>);

// SAFETY: Only the address is sent, and each value is handed from one task to the next.
unsafe impl<T: Zeroable + Send> Send for PerCpuCell<T> {}

// SAFETY: A CPU has its own value, and `take` gives it to one task at a time.
unsafe impl<T: Zeroable + Send> Sync for PerCpuCell<T> {}

impl<T: Zeroable> PerCpuCell<T> {
    /// Not allocated.
    pub(crate) const fn new() -> Self {
        Self(PerCpu::new())
    }

    /// Whether the values are allocated.
    #[inline]
    pub(crate) fn is_allocated(&self) -> bool {
        !self.0.get().is_null()
    }

    /// Allocates the values, all zero, unless they are. Returns whether this call has; not if there is
    /// no memory. Does not sleep.
    pub(crate) fn alloc(&self) -> bool {
        self.0.alloc()
    }

    /// Takes this CPU's value. `None` if the values are not allocated, or if this has interrupted
    /// somebody who has it: an interrupt can, and on PREEMPT_RT another task.
    #[inline(always)]
    pub(crate) fn take<'a>(&'a self, _bh: &'a BhDisabled<'_>) -> Option<Taken<'a, T>> {
        let slots = self.0.get();
        if slots.is_null() {
            return None;
        }
        // SAFETY: Each CPU that can be there has a slot, which stays until the drop, and the task stays
        // on this one by the token. The mark is the first field.
        unsafe {
            if bindings::this_cpu_cmpxchg(slots.cast(), 0, 1) != 0 {
                return None;
            }
            // INVARIANT: Marked by the lines above.
            Some(Taken(
                &*bindings::this_cpu_ptr(slots.cast()).cast::<Slot<T>>(),
                NotThreadSafe,
            ))
        }
    }
}

impl<T: Zeroable> Drop for PerCpuCell<T> {
    fn drop(&mut self) {
        let slots = self.0.get();
        if slots.is_null() || !core::mem::needs_drop::<T>() {
            return;
        }
        for_each_possible_cpu(|cpu| {
            // SAFETY: Each CPU that can be there has a slot, whose value nobody has any more, and this is
            // the end of it.
            unsafe {
                let slot = bindings::per_cpu_ptr(slots.cast(), cpu).cast::<Slot<T>>();
                ptr::drop_in_place((*slot).value.get());
            }
        });
    }
}

/// A value that a CPU has of a [`PerCpuCell`]. Its drop gives it back.
///
/// # Invariants
///
/// The slot is that of this CPU, and is marked as taken by this.
pub(crate) struct Taken<'a, T>(&'a Slot<T>, NotThreadSafe);

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: Nobody else touches the value, by the type invariant.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Taken<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: Nobody else touches the value, by the type invariant.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Taken<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        barrier();
        // SAFETY: The slot is this CPU's, by the type invariant: an interrupt that finds it taken leaves
        // it alone.
        unsafe { self.0.taken.get().write_volatile(0) };
    }
}

/// Has the compiler move no memory access across. C: `barrier()`.
#[inline(always)]
fn barrier() {
    // SAFETY: No instruction.
    unsafe { core::arch::asm!("", options(nostack, preserves_flags)) };
}
