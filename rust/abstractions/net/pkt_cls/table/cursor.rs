// SPDX-License-Identifier: GPL-2.0-only

//! Iteration over a table that may change meanwhile: dumps, and requests that concern all filters.

use super::{
    filter_ref::FilterRef,
    node::node_of,
    FilterTable,
    TableInner, //
};
use crate::abstractions::{
    bindings,
    net::pkt_cls::Classifier, //
};
use kernel::{
    prelude::*,
    sync::MutexGuard, //
};

impl<T: Classifier> FilterTable<T> {
    /// Returns the links of the filter with that handle and sequence number, or of its replacement.
    /// If neither is in the table, returns the links of the filter after it, or the head. O(log n)
    /// if it is in the table.
    fn find_or_next(
        &self,
        inner: &MutexGuard<'_, TableInner>,
        id: u32,
        seq: u64,
    ) -> *mut bindings::list_head {
        let head = self.list.get();
        let now = Self::find(inner, id);
        // SAFETY: The table has all nodes that are in the IDR and the list, by the type invariant,
        // and the lock is held.
        unsafe {
            if !now.is_null() && (*(*now).value.link.0.get()).seq == seq {
                return (*now).value.links.get();
            }
            let mut at = (*head).next;
            while at != head && Self::seq(at) > seq {
                at = (*at).next;
            }
            at
        }
    }

    /// # Safety
    ///
    /// `links` are those of a node that a table has, and the lock of the table is held.
    unsafe fn seq(links: *mut bindings::list_head) -> u64 {
        let node = node_of::<T>(links);
        // SAFETY: By the safety requirements of this function.
        unsafe { (*(*node).value.link.0.get()).seq }
    }

    /// Returns the filter after `at`, or the first one. O(log n) unless `at` was deleted meanwhile.
    /// May sleep.
    pub(in crate::abstractions::net::pkt_cls) fn next(
        &self,
        at: Option<&FilterRef<'_, T>>,
    ) -> Option<FilterRef<'_, T>> {
        let inner = self.inner.lock();
        let head = self.list.get();
        // SAFETY: The head is valid, and so is the node of a reference. The table has all nodes of
        // the list, by the type invariant, and the lock is held.
        unsafe {
            let next = match at.map(|at| (*at.node.as_ptr()).value.link.0.get()) {
                None => (*head).next,
                Some(was) => {
                    let links = self.find_or_next(&inner, (*was).id, (*was).seq);
                    if links != head && Self::seq(links) == (*was).seq {
                        (*links).next
                    } else {
                        links
                    }
                }
            };
            self.get_ref_by_links(&inner, next)
        }
    }

    /// Returns what a dump that stops at a filter stores to find it again. Never 0 if `long` has 64
    /// bits.
    ///
    /// The value contains the handle, by which the filter is found, and the lower bits of its
    /// sequence number, which distinguish it from a later filter with the same handle. If there is
    /// no space for both, it only contains the latter, by which the filter is found.
    pub(in crate::abstractions) fn dump_cookie(&self, at: &FilterRef<'_, T>) -> c_ulong {
        let _inner = self.inner.lock();
        // SAFETY: Valid by the invariant of the reference. The lock is held.
        let (id, seq) = unsafe {
            let link = (*at.node.as_ptr()).value.link.0.get();
            ((*link).id, (*link).seq)
        };
        if c_ulong::BITS == u64::BITS {
            (seq << u32::BITS | u64::from(id)) as c_ulong
        } else {
            seq as c_ulong
        }
    }

    /// Returns the filter at which a dump stopped, or its replacement. If neither is in the table,
    /// returns the filter after it. O(log n) if it is in the table and `long` has 64 bits. May
    /// sleep.
    pub(in crate::abstractions) fn at_cookie(
        &self,
        dump_cookie: c_ulong,
    ) -> Option<FilterRef<'_, T>> {
        let inner = self.inner.lock();
        let (id, low) = if c_ulong::BITS == u64::BITS {
            let dump_cookie = dump_cookie as u64;
            (dump_cookie as u32, (dump_cookie >> u32::BITS) as u32)
        } else {
            // No filter has the handle 0.
            (0, dump_cookie as u32)
        };
        // The number is not greater than the last one, and the difference is less than 2^32.
        let last = inner.seq.get();
        let seq = last.wrapping_sub(u64::from((last as u32).wrapping_sub(low)));
        let links = self.find_or_next(&inner, id, seq);
        // SAFETY: `links` are the head, or those of a node that the table has. The lock is held.
        unsafe { self.get_ref_by_links(&inner, links) }
    }

    /// Returns the filter that has `index` filters before it. O(n). May sleep.
    pub(crate) fn nth(&self, index: usize) -> Option<FilterRef<'_, T>> {
        let inner = self.inner.lock();
        let head = self.list.get();
        // SAFETY: The table has all nodes of the list, by the type invariant, and the lock is held.
        unsafe {
            let mut links = (*head).next;
            for _ in 0..index {
                if links == head {
                    break;
                }
                links = (*links).next;
            }
            self.get_ref_by_links(&inner, links)
        }
    }

    /// Calls `f` for each filter, newest first, until `f` fails. The table may change meanwhile.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&FilterRef<'_, T>) -> Result) -> Result {
        let mut at = self.next(None);
        while let Some(filter) = at {
            f(&filter)?;
            at = self.next(Some(&filter));
        }
        Ok(())
    }
}
