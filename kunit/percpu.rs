// SPDX-License-Identifier: GPL-2.0-only

//! Per-CPU values.

use kernel::prelude::*;

#[kunit_tests(lwtcls_percpu)]
mod tests {
    use super::*;
    use crate::abstractions::sync::{
        bottom_half::BhDisabled,
        percpu::{
            Counters,
            PerCpuCell, //
        }, //
    };

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

    #[test]
    fn cell_has_nothing_before_it_is_allocated() {
        let cell = PerCpuCell::<u64>::new();
        assert!(!cell.is_allocated());
        BhDisabled::with(|bh| assert!(cell.try_borrow(bh).is_none()));
        assert!(cell.alloc());
        // It is allocated only once.
        assert!(!cell.alloc());
        let value = BhDisabled::with(|bh| cell.try_borrow(bh).map(|value| *value));
        assert_eq!(value, Some(0));
    }

    #[test]
    fn value_is_taken_once() {
        let cell = PerCpuCell::<u64>::new();
        assert!(cell.alloc());
        BhDisabled::with(|bh| {
            let mut value = cell.try_borrow(bh);
            assert!(cell.try_borrow(bh).is_none());
            if let Some(value) = &mut value {
                **value = 7;
            }
            drop(value);
            assert_eq!(cell.try_borrow(bh).map(|value| *value), Some(7));
        });
    }
}
