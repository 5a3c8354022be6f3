// SPDX-License-Identifier: GPL-2.0-only

//! Iteration over filters in an RCU read side.

use super::node::node_of;
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
use kernel::ptr::project;

/// Iterates over the filters of a table.
///
/// # Invariants
///
/// `at` is the head of the list, or the links of a node that is not freed during `'a`, because `'a`
/// lies in an RCU read side.
pub(crate) struct Iter<'a, T: Classifier> {
    pub(super) head: *mut bindings::list_head,
    pub(super) at: *mut bindings::list_head,
    pub(super) _filters: PhantomData<&'a Filter<T>>,
}

impl<'a, T: Classifier> Iterator for Iter<'a, T> {
    type Item = &'a Filter<T>;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a Filter<T>> {
        let next = project!(self.at, .next);
        // SAFETY: By the type invariant. A removed node still points to its successor.
        self.at = unsafe { rcu::dereference(next) };
        if self.at == self.head {
            return None;
        }
        let node = node_of(self.at);
        // SAFETY: The node is not at address 0, which the compiler cannot see.
        unsafe { assert_unchecked(!node.is_null()) };
        // SAFETY: `at` is not the head, so it is the links of a node, which stays by the type
        // invariant.
        Some(unsafe { &(*node).value })
    }
}
