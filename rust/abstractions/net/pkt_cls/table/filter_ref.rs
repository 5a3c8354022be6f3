// SPDX-License-Identifier: GPL-2.0-only

//! Counted references to filters.

use super::{
    node::{
        link_of,
        node_of,
        FilterNode, //
    },
    FilterTable,
    TableInner, //
};
use crate::abstractions::{
    bindings,
    net::pkt_cls::{
        filter::Filter,
        rcu_work::RcuWorkBox,
        Classifier, //
    },
    sync::refcount::dec_not_one, //
};
use core::{
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    sync::MutexGuard, //
};

/// A counted reference to a filter, which other requests may remove from the table meanwhile.
///
/// # Invariants
///
/// `node` is a node of `table`, removed or not, and its refcount includes this reference.
pub(crate) struct FilterRef<'a, T: Classifier> {
    pub(super) node: NonNull<FilterNode<T>>,
    pub(super) table: &'a FilterTable<T>,
}

impl<'a, T: Classifier> FilterRef<'a, T> {
    /// Returns the handle.
    pub(crate) fn handle(&self) -> u32 {
        // SAFETY: Valid by the type invariant. The id does not change once the node is in the
        // table.
        unsafe { (*link_of(self.node.as_ptr())).id }
    }

    /// Returns the sequence number, see [`TableLinkInner`](super::node::TableLinkInner).
    pub(super) fn seq(&self) -> u64 {
        // SAFETY: Valid by the type invariant. The number does not change once the node is in the
        // table.
        unsafe { (*link_of(self.node.as_ptr())).seq }
    }

    /// Transfers the reference to the core, as its opaque pointer to the filter (`void *fh`).
    pub(in crate::abstractions::net::pkt_cls) fn into_raw(self) -> *mut c_void {
        ManuallyDrop::new(self).node.as_ptr().cast()
    }

    /// Returns the opaque pointer of the core to the filter, valid as long as the reference.
    pub(in crate::abstractions::net::pkt_cls) fn as_raw(&self) -> *mut c_void {
        self.node.as_ptr().cast()
    }

    /// Takes a reference back from the core.
    ///
    /// # Safety
    ///
    /// `raw` is null, or comes from [`Self::into_raw`] of a reference to a filter of `table`. The
    /// core does not use it any more.
    pub(in crate::abstractions::net::pkt_cls) unsafe fn from_raw(
        table: &'a FilterTable<T>,
        raw: *mut c_void,
    ) -> Option<Self> {
        // INVARIANT: By the safety requirements of this function.
        NonNull::new(raw.cast()).map(|node| Self { table, node })
    }

    /// Returns the handle and the filter for a pointer that the core passes.
    ///
    /// # Safety
    ///
    /// `raw` is null, or comes from [`Self::into_raw`] or [`Self::as_raw`] of a reference that
    /// lives for `'a`.
    pub(in crate::abstractions::net::pkt_cls) unsafe fn borrow(
        raw: *mut c_void,
    ) -> Option<(u32, &'a Filter<T>)> {
        // SAFETY: By the safety requirements of this function.
        let node = unsafe { raw.cast::<FilterNode<T>>().as_ref() }?;
        // SAFETY: The id does not change once the node is in the table.
        let id = unsafe { (*node.value.link.0.get()).id };
        Some((id, &node.value))
    }
}

impl<T: Classifier> Deref for FilterRef<'_, T> {
    type Target = Filter<T>;

    fn deref(&self) -> &Filter<T> {
        // SAFETY: Valid by the type invariant.
        unsafe { &(*self.node.as_ptr()).value }
    }
}

impl<T: Classifier> Drop for FilterRef<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: By the type invariant. The reference is given up here.
        unsafe { self.table.put(self.node.as_ptr()) };
    }
}

impl<T: Classifier> FilterTable<T> {
    /// # Safety
    ///
    /// `node` is in this table.
    pub(super) unsafe fn get_ref(
        &self,
        _inner: &MutexGuard<'_, TableInner>,
        node: NonNull<FilterNode<T>>,
    ) -> FilterRef<'_, T> {
        // SAFETY: By the safety requirements of this function. The lock is held.
        unsafe { (*link_of(node.as_ptr())).refs.inc() };
        // INVARIANT: The refcount was incremented above.
        FilterRef { table: self, node }
    }

    /// # Safety
    ///
    /// `links` are the head of the list, for which there is no filter, or those of a node in
    /// this table.
    pub(super) unsafe fn get_ref_by_links(
        &self,
        inner: &MutexGuard<'_, TableInner>,
        links: *mut bindings::list_head,
    ) -> Option<FilterRef<'_, T>> {
        if links == self.list.get() {
            return None;
        }
        let node = NonNull::new(node_of(links))?;
        // SAFETY: By the safety requirements of this function. The lock is held.
        Some(unsafe { self.get_ref(inner, node) })
    }

    /// # Safety
    ///
    /// `node` is valid, was just removed from the list and the IDR, and is referenced by somebody.
    pub(super) unsafe fn set_removed(inner: &MutexGuard<'_, TableInner>, node: *mut FilterNode<T>) {
        // SAFETY: Valid by the safety requirements of this function, by which the table's reference
        // is not the last one. The lock is held.
        unsafe { (*link_of(node)).refs.dec() };
        // SAFETY: Valid by the safety requirements of this function. The lock is held, and the
        // links are in no list before.
        unsafe { bindings::list_add(RcuWorkBox::links(node), inner.removed.get()) };
    }

    /// Returns whether a filter was removed from the table: then it is in the list of removed ones.
    ///
    /// # Safety
    ///
    /// `node` is one of the table's, removed or not.
    pub(super) unsafe fn is_removed(
        _inner: &MutexGuard<'_, TableInner>,
        node: *mut FilterNode<T>,
    ) -> bool {
        // SAFETY: Valid by the safety requirements of this function. The lock is held. The links
        // are null until the filter is removed.
        unsafe { !(*RcuWorkBox::links(node)).next.is_null() }
    }

    /// Drops a reference.
    ///
    /// # Safety
    ///
    /// `node` is one of the table's, removed or not, and the caller gives up one of its references.
    #[inline(always)]
    unsafe fn put(&self, node: *mut FilterNode<T>) {
        // SAFETY: By the safety requirements of this function.
        let refs = unsafe { &(*link_of(node)).refs };
        if !dec_not_one(refs) {
            // SAFETY: By the safety requirements of this function.
            unsafe { self.put_last(node) };
        }
    }

    /// The slow path of [`Self::put`]: drops a reference that may be the last one, under the lock.
    ///
    /// # Safety
    ///
    /// As for [`Self::put`].
    #[inline(never)]
    unsafe fn put_last(&self, node: *mut FilterNode<T>) {
        {
            let _inner = self.inner.lock();
            // SAFETY: Valid by the safety requirements of this function. The lock is held.
            if !unsafe { (*link_of(node)).refs.dec_and_test() } {
                return;
            }
            // SAFETY: A node without references is not in the table, so it is in the list of
            // removed ones. The lock is held.
            unsafe { bindings::list_del(RcuWorkBox::links(node)) };
        }
        // SAFETY: Valid by the safety requirements of this function.
        let filter = unsafe { &(*node).value };
        // SAFETY: Only the packet path still uses the filter.
        if unsafe { filter.exts().get_net() } {
            // SAFETY: The node was taken out of its box. Only the packet path may still use it, and
            // cannot find it any more.
            unsafe { RcuWorkBox::queue(node) };
        } else {
            // SAFETY: The node was taken out of its box, and is in no list. The devices of the
            // namespace are closed, and the kernel has waited for their packets.
            unsafe { Self::free(node) };
        }
    }
}
