// SPDX-License-Identifier: GPL-2.0-only

//! The walk of the packet path.

use super::entry::node_of;
use crate::abstractions::{
    bindings,
    net::pkt_cls::{
        filter::Filter,
        Classifier, //
    },
    sync::rcu, //
};
use core::{
    hint::assert_unchecked,
    marker::PhantomData, //
};

/// Walks the filters of a table.
///
/// # Invariants
///
/// `at` is the list's head, or the links of a node that is not freed during `'a`, for that lies in an
/// RCU read side.
pub(crate) struct Iter<'a, T: Classifier> {
    pub(super) head: *mut bindings::list_head,
    pub(super) at: *mut bindings::list_head,
    pub(super) _filters: PhantomData<&'a Filter<T>>,
}

impl<'a, T: Classifier> Iterator for Iter<'a, T> {
    type Item = &'a Filter<T>;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a Filter<T>> {
        // SAFETY: By the type invariant. A node that was taken out still points on.
        let next = unsafe { rcu::dereference(&raw const (*self.at).next) };
        self.at = next;
        if self.at == self.head {
            return None;
        }
        let node = node_of(self.at);
        // SAFETY: Not the head, so the links of a node, which stays by the type invariant. It is not
        // at address 0, which the compiler cannot see.
        unsafe {
            assert_unchecked(!node.is_null());
            Some(&(*node).value)
        }
    }
}
