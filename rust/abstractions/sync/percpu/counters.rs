// SPDX-License-Identifier: GPL-2.0-only

//! Counters of each CPU.

use super::{
    for_each_possible_cpu,
    PerCpu, //
};
use crate::abstractions::bindings;

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
