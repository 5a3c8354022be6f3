// SPDX-License-Identifier: GPL-2.0-only

//! Per-CPU values.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

mod cell;
mod counters;

pub(crate) use cell::{
    CpuGuard,
    PerCpuCell, //
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

/// A `T` per CPU. [`Self::alloc`] allocates the values, zeroed.
///
/// # Invariants
///
/// The pointer is null, or the per-CPU address of a `T`. Once it is set, it does not change until
/// the drop.
struct PerCpu<T>(Atomic<*mut T>);

impl<T: Zeroable> PerCpu<T> {
    const fn new() -> Self {
        // INVARIANT: The pointer is null.
        Self(Atomic::new(ptr::null_mut()))
    }

    /// Returns the per-CPU address, or null if the values are not allocated.
    #[inline(always)]
    fn get(&self) -> *mut T {
        self.0.load(Acquire)
    }

    /// Allocates the values on the first call. Returns `true` if this call allocated them, `false`
    /// if they existed or the allocation failed. Does not sleep.
    #[cold]
    #[inline(never)]
    fn alloc(&self) -> bool {
        if !self.get().is_null() {
            return false;
        }
        // SAFETY: An FFI call with no requirements. It does not sleep with these flags, and returns
        // zeroed memory.
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
        // INVARIANT: `new` is allocated, and is only set if the pointer is null.
        let first = self.0.cmpxchg(ptr::null_mut(), new, Release).is_ok();
        if !first {
            // SAFETY: Allocated above, and not published.
            unsafe { bindings::free_percpu(new.cast()) };
        }
        first
    }
}

impl<T> Drop for PerCpu<T> {
    fn drop(&mut self) {
        // Relaxed: the exclusive reference orders this after all other accesses.
        let address = self.0.load(Relaxed);
        if !address.is_null() {
            // SAFETY: Allocated by `alloc`, and not used after this.
            unsafe { bindings::free_percpu(address.cast()) };
        }
    }
}

/// Calls `f` with the number of each possible CPU. C: `for_each_possible_cpu()`.
fn for_each_possible_cpu(mut f: impl FnMut(c_uint)) {
    let mut last = -1;
    loop {
        // SAFETY: An FFI call with no requirements.
        let cpu = unsafe { bindings::cpumask_next_possible(last) };
        if cpu >= nr_cpu_ids() {
            return;
        }
        f(cpu);
        last = cpu as c_int;
    }
}
