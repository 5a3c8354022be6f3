// SPDX-License-Identifier: GPL-2.0-only

//! Values of which each CPU has its own.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use super::bottom_half::BhDisabled;
use crate::abstractions::bindings;
use core::{
    cell::UnsafeCell,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr, //
};
use kernel::{
    cpu::nr_cpu_ids,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    types::NotThreadSafe, //
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

/// `N` counters of 64 bits for each CPU. They take no memory until something is counted.
pub(crate) struct Counters<const N: usize>(PerCpu<[u64; N]>);

impl<const N: usize> Counters<N> {
    /// All 0.
    pub(crate) const fn new() -> Self {
        Self(PerCpu::new())
    }

    /// Adds to some of the counters of this CPU, which are named by their numbers: there is none from
    /// `N` on. Process or softirq context.
    ///
    /// The first call allocates. What there is no memory for is not counted.
    #[inline(always)]
    pub(crate) fn add<const M: usize>(&self, amounts: [(usize, u64); M]) {
        let mut counters = self.0.get();
        if counters.is_null() {
            self.0.alloc();
            counters = self.0.get();
            if counters.is_null() {
                return;
            }
        }
        let counters = counters.cast::<u64>();
        for (number, amount) in amounts {
            if number < N {
                // SAFETY: There are `N` of them.
                unsafe { bindings::this_cpu_add(counters.wrapping_add(number), amount) };
            }
        }
    }

    /// Whether anything was ever counted.
    pub(crate) fn is_used(&self) -> bool {
        !self.0.get().is_null()
    }

    /// The sums over all CPUs, while these may go on counting. `None` if nothing was ever counted.
    pub(crate) fn sum(&self) -> Option<[u64; N]> {
        let counters = self.0.get().cast::<u64>();
        if counters.is_null() {
            return None;
        }
        let mut sums = [0u64; N];
        for_each_possible_cpu(|cpu| {
            // SAFETY: Each CPU that can be there has `N` counters; they are read in one piece where a
            // machine word has 64 bits.
            unsafe {
                let own = bindings::per_cpu_ptr(counters, cpu);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.wrapping_add(own.add(i).read_volatile());
                }
            }
        });
        Some(sums)
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
