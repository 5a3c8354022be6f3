// SPDX-License-Identifier: GPL-2.0-only

//! Values of which each CPU has its own.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

mod cell;
mod counters;

pub(crate) use cell::{
    PerCpuCell,
    Taken, //
};
pub(crate) use counters::Counters;

use crate::abstractions::bindings;
use core::ptr;
use kernel::{
    cpu::nr_cpu_ids,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

/// A `T` for each CPU. They take no memory until they are allocated, and are zero then.
///
/// # Invariants
///
/// The pointer is null, or the per-CPU address of a `T` which stays the same until the drop.
struct PerCpu<T>(Atomic<*mut T>);

impl<T: Zeroable> PerCpu<T> {
    const fn new() -> Self {
        // INVARIANT: Null.
        Self(Atomic::new(ptr::null_mut()))
    }

    /// The per-CPU address. Null if they are not allocated.
    #[inline(always)]
    fn get(&self) -> *mut T {
        self.0.load(Acquire)
    }

    /// Allocates, if nobody has. Returns whether this call has; not if there is no memory. Does not
    /// sleep.
    #[cold]
    #[inline(never)]
    fn alloc(&self) -> bool {
        if !self.get().is_null() {
            return false;
        }
        // SAFETY: An FFI call with no requirements. It does not sleep with these flags, and what it
        // allocates is zero.
        let new: *mut T = unsafe {
            bindings::__alloc_percpu_gfp(
                size_of::<T>(),
                align_of::<T>(),
                bindings::GFP_NOWAIT | bindings::__GFP_NOWARN,
            )
        }
        .cast();
        if new.is_null() {
            return false;
        }
        // INVARIANT: Allocated, and only if there was none.
        let first = self.0.cmpxchg(ptr::null_mut(), new, Release).is_ok();
        if !first {
            // SAFETY: Allocated above, and nobody else knows it.
            unsafe { bindings::free_percpu(new.cast()) };
        }
        first
    }
}

impl<T> Drop for PerCpu<T> {
    fn drop(&mut self) {
        // Whoever is alone with the value has seen what others wrote.
        let address = self.0.load(Relaxed);
        if !address.is_null() {
            // SAFETY: Allocated by `alloc`, and this is the end of the value.
            unsafe { bindings::free_percpu(address.cast()) };
        }
    }
}

/// Calls `f` with the number of each CPU that there is or may be. C: `for_each_possible_cpu()`.
fn for_each_possible_cpu(mut f: impl FnMut(c_uint)) {
    // SAFETY: FFI calls with no requirements.
    unsafe {
        let mut cpu = bindings::cpumask_next_possible(-1);
        while cpu < nr_cpu_ids() {
            f(cpu);
            cpu = bindings::cpumask_next_possible(cpu as c_int);
        }
    }
}
