// SPDX-License-Identifier: GPL-2.0-only

//! Per-CPU counters.

use super::{
    for_each_possible_cpu,
    PerCpu, //
};
use crate::abstractions::bindings;

/// `N` 64-bit counters per CPU, which are allocated when something is first counted.
pub(crate) struct Counters<const N: usize>(PerCpu<[u64; N]>);

impl<const N: usize> Counters<N> {
    /// Creates counters that are 0.
    pub(crate) const fn new() -> Self {
        Self(PerCpu::new())
    }

    /// Adds amounts to counters of this CPU, given by their indices. Indices from `N` on are
    /// ignored. Process or softirq context.
    ///
    /// The first call allocates the counters. If that fails, the amounts are lost.
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
                // SAFETY: Each CPU has `N` counters, and `number` is less than `N`.
                unsafe { bindings::this_cpu_add(counters.wrapping_add(number), amount) };
            }
        }
    }

    /// Returns whether the counters are allocated, that is, whether anything was counted.
    pub(crate) fn is_used(&self) -> bool {
        !self.0.get().is_null()
    }

    /// Returns the sums over all CPUs, or `None` if nothing was counted. CPUs may go on counting
    /// meanwhile.
    pub(crate) fn sum(&self) -> Option<[u64; N]> {
        let counters = self.0.get().cast::<u64>();
        if counters.is_null() {
            return None;
        }
        let mut sums = [0u64; N];
        for_each_possible_cpu(|cpu| {
            // SAFETY: Each possible CPU has counters.
            let own = unsafe { bindings::per_cpu_ptr(counters, cpu) };
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: Each possible CPU has `N` counters. On 64-bit machines each is read in
                // one access.
                let count = unsafe { own.wrapping_add(i).read_volatile() };
                *sum = sum.wrapping_add(count);
            }
        });
        Some(sums)
    }
}
