// SPDX-License-Identifier: GPL-2.0-only

//! Counters of which each CPU has its own.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

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

/// `N` counters of 64 bits for each CPU. They take no memory until something is counted.
///
/// # Invariants
///
/// The pointer is null, or the per-CPU address of `N` counters, which stays the same until the drop.
pub(crate) struct Counters<const N: usize>(Atomic<*mut u64>);

impl<const N: usize> Counters<N> {
    /// All 0.
    pub(crate) const fn new() -> Self {
        // INVARIANT: Null.
        Self(Atomic::new(ptr::null_mut()))
    }

    /// The counters, allocated if there are none. Null if there is no memory for them.
    #[inline(always)]
    fn get_or_alloc(&self) -> *mut u64 {
        let counters = self.0.load(Acquire);
        if !counters.is_null() {
            return counters;
        }
        self.alloc()
    }

    #[cold]
    #[inline(never)]
    fn alloc(&self) -> *mut u64 {
        // SAFETY: An FFI call with no requirements. It does not sleep with these flags.
        let new = unsafe {
            bindings::__alloc_percpu_gfp(
                const { N * size_of::<u64>() },
                align_of::<u64>(),
                bindings::GFP_NOWAIT | bindings::__GFP_NOWARN,
            )
        };
        if new.is_null() {
            return new;
        }
        // INVARIANT: The address of so many, and only if there was none.
        match self.0.cmpxchg(ptr::null_mut(), new, Release) {
            Ok(_) => new,
            Err(_) => {
                // SAFETY: Allocated above, and nobody else knows it.
                unsafe { bindings::free_percpu(new) };
                self.0.load(Acquire)
            }
        }
    }

    /// Adds to some of the counters of this CPU, which are named by their numbers: there is none from
    /// `N` on. Process or softirq context.
    ///
    /// The first call allocates. What there is no memory for is not counted.
    #[inline(always)]
    pub(crate) fn add<const M: usize>(&self, amounts: [(usize, u64); M]) {
        let counters = self.get_or_alloc();
        if counters.is_null() {
            return;
        }
        for (number, amount) in amounts {
            if number < N {
                // SAFETY: There are `N` of them by the type invariant.
                unsafe { bindings::this_cpu_add(counters.wrapping_add(number), amount) };
            }
        }
    }

    /// The sums over all CPUs, while these may go on counting. `None` if nothing was ever counted.
    pub(crate) fn sum(&self) -> Option<[u64; N]> {
        let counters = self.0.load(Acquire);
        if counters.is_null() {
            return None;
        }
        let mut sums = [0u64; N];
        // SAFETY: FFI calls. Each CPU that can be there has `N` counters by the type invariant; they are
        // read in one piece where a machine word has 64 bits.
        unsafe {
            let mut cpu = bindings::cpumask_next_possible(-1);
            while cpu < nr_cpu_ids() {
                let own = bindings::per_cpu_ptr(counters, cpu);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.wrapping_add(own.add(i).read_volatile());
                }
                cpu = bindings::cpumask_next_possible(cpu as c_int);
            }
        }
        Some(sums)
    }
}

impl<const N: usize> Drop for Counters<N> {
    fn drop(&mut self) {
        // Whoever is alone with the value has seen what others wrote.
        let counters = self.0.load(Relaxed);
        if !counters.is_null() {
            // SAFETY: Allocated by `get_or_alloc`, and this is the end of the value.
            unsafe { bindings::free_percpu(counters) };
        }
    }
}
