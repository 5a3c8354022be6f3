// SPDX-License-Identifier: GPL-2.0-only

//! Counters of which each CPU has its own.

use kernel::prelude::*;

#[kunit_tests(lwtcls_percpu)]
mod tests {
    use super::*;
    use crate::abstractions::sync::percpu::Counters;

    #[test]
    fn nothing_was_counted_at_first() {
        assert!(Counters::<3>::new().sum().is_none());
    }

    #[test]
    fn amounts_are_added_to_those_that_are_named() {
        let counters = Counters::<3>::new();
        counters.add([(0, 1)]);
        counters.add([(2, 1 << 40), (0, 2)]);
        assert_eq!(counters.sum(), Some([3, 0, 1 << 40]));
    }

    #[test]
    fn counters_wrap_around() {
        let counters = Counters::<1>::new();
        counters.add([(0, u64::MAX), (0, 3)]);
        assert_eq!(counters.sum(), Some([2]));
    }

    #[test]
    fn there_is_none_behind_the_last() {
        let counters = Counters::<2>::new();
        counters.add([(2, 7), (usize::MAX, 7)]);
        assert_eq!(counters.sum(), Some([0, 0]));
    }
}
