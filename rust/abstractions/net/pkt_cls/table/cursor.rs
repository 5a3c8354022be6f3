// SPDX-License-Identifier: GPL-2.0-only

//! Iteration over a table that may change meanwhile: dumps, and requests that concern all filters.

use super::{
    filter_ref::FilterRef,
    node::{
        link_of,
        links_of,
        node_of, //
    },
    FilterTable,
    TableInner, //
};
use crate::abstractions::{
    bindings,
    net::pkt_cls::{
        links::Links,
        Classifier, //
    }, //
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
        // SAFETY: The table has all nodes that are in the IDR, by the type invariant, and the lock
        // is held.
        if !now.is_null() && unsafe { (*link_of(now)).seq } == seq {
            return links_of(now);
        }
        // SAFETY: The head is valid, and the lock is held.
        let mut nodes = unsafe { Links::of(head) };
        nodes
            // SAFETY: The table has all nodes of the list, by the type invariant, and the lock is
            // held.
            .find(|&links| unsafe { Self::seq(links) } <= seq)
            .unwrap_or(head)
    }

    /// # Safety
    ///
    /// `links` are those of a node in a table whose lock is held.
    unsafe fn seq(links: *mut bindings::list_head) -> u64 {
        // SAFETY: By the safety requirements of this function.
        unsafe { (*link_of(node_of::<T>(links))).seq }
    }

    /// Returns the filter after `at`, or the first one. O(log n) unless `at` was deleted meanwhile.
    /// May sleep.
    pub(in crate::abstractions::net::pkt_cls) fn next(
        &self,
        at: Option<&FilterRef<'_, T>>,
    ) -> Option<FilterRef<'_, T>> {
        let inner = self.inner.lock();
        let head = self.list.get();
        let links = at.map_or(head, |at| self.find_or_next(&inner, at.handle(), at.seq()));
        let next = match at {
            // `at` was deleted meanwhile: these are the links after it.
            // SAFETY: The links are not the head, so they are those of a node in the table.
            // The lock is held.
            Some(at) if links == head || unsafe { Self::seq(links) } != at.seq() => links,
            // SAFETY: The links are the head, or those of a node in the table. The lock is
            // held.
            _ => unsafe { (*links).next },
        };
        // SAFETY: The links are the head, or those of a node in the table. The lock is held.
        unsafe { self.get_ref_by_links(&inner, next) }
    }

    /// Returns what a dump that stops at a filter stores to find it again. Never 0 if `long` has 64
    /// bits.
    ///
    /// The value contains the handle, by which the filter is found, and the lower bits of its
    /// sequence number, which distinguish it from a later filter with the same handle. If there is
    /// no space for both, it only contains the latter, by which the filter is found.
    pub(in crate::abstractions) fn dump_cookie(&self, at: &FilterRef<'_, T>) -> c_ulong {
        let _inner = self.inner.lock();
        let (id, seq) = (at.handle(), at.seq());
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
        // SAFETY: `links` are the head, or those of a node in the table. The lock is held.
        unsafe { self.get_ref_by_links(&inner, links) }
    }

    /// Returns the filter that has `index` filters before it. O(n). May sleep.
    pub(crate) fn nth(&self, index: usize) -> Option<FilterRef<'_, T>> {
        let inner = self.inner.lock();
        // SAFETY: The head is valid, and the lock is held.
        let links = unsafe { Links::of(self.list.get()) }.nth(index)?;
        // SAFETY: The table has all nodes of the list, by the type invariant, and the lock is held.
        unsafe { self.get_ref_by_links(&inner, links) }
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
