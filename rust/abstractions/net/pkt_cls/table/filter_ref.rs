// SPDX-License-Identifier: GPL-2.0-only

//! Counted references to filters.

use super::{
    entry::{
        node_of,
        Boxed, //
    },
    Admin,
    FilterTable, //
};
use crate::abstractions::{
    bindings,
    net::pkt_cls::{
        deferred::Deferred,
        filter::Filter,
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

/// A counted reference to a filter, which others may take out of the table meanwhile.
///
/// # Invariants
///
/// `node` is one of the table's, removed or not, and counts this reference.
pub(crate) struct FilterRef<'a, T: Classifier> {
    pub(super) node: NonNull<Boxed<T>>,
    pub(super) table: &'a FilterTable<T>,
}

impl<'a, T: Classifier> FilterRef<'a, T> {
    /// The handle.
    #[cfg(lwtcls_kunit)]
    pub(crate) fn handle(&self) -> u32 {
        // SAFETY: Valid by the type invariant. The number does not change once the node is in the
        // table.
        unsafe { (*(*self.node.as_ptr()).value.place.0.get()).id }
    }

    /// Gives the reference to the core, which knows filters by such pointers.
    pub(in crate::abstractions::net::pkt_cls) fn into_raw(self) -> *mut c_void {
        ManuallyDrop::new(self).node.as_ptr().cast()
    }

    /// What the core knows the filter by, for as long as the reference lives.
    pub(in crate::abstractions::net::pkt_cls) fn as_raw(&self) -> *mut c_void {
        self.node.as_ptr().cast()
    }

    /// Takes a reference back from the core.
    ///
    /// # Safety
    ///
    /// `raw` is null or comes from [`Self::into_raw`] of a reference into that table, and the core
    /// does not use it any more.
    pub(in crate::abstractions::net::pkt_cls) unsafe fn from_raw(
        table: &'a FilterTable<T>,
        raw: *mut c_void,
    ) -> Option<Self> {
        // INVARIANT: By the safety requirements of this function.
        NonNull::new(raw.cast()).map(|node| Self { table, node })
    }

    /// The filter that the core shows us, and its handle.
    ///
    /// # Safety
    ///
    /// `raw` is null, or comes from [`Self::into_raw`] or [`Self::as_raw`] of a reference that
    /// lives for `'a`.
    pub(in crate::abstractions::net::pkt_cls) unsafe fn borrow(
        raw: *mut c_void,
    ) -> Option<(u32, &'a Filter<T>)> {
        // SAFETY: By the safety requirements of this function; see `handle`.
        unsafe {
            raw.cast::<Boxed<T>>()
                .as_ref()
                .map(|node| ((*node.value.place.0.get()).id, &node.value))
        }
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
        // SAFETY: By the type invariant, and this is the end of the reference.
        unsafe { self.table.put(self.node.as_ptr()) };
    }
}

impl<T: Classifier> FilterTable<T> {
    /// # Safety
    ///
    /// `node` is a node that this table has.
    pub(super) unsafe fn refer(
        &self,
        _admin: &MutexGuard<'_, Admin>,
        node: NonNull<Boxed<T>>,
    ) -> FilterRef<'_, T> {
        // SAFETY: By the safety requirements of this function; the lock is held.
        unsafe { (*(*node.as_ptr()).value.place.0.get()).refs.inc() };
        // INVARIANT: Counted by the line above.
        FilterRef { table: self, node }
    }

    /// # Safety
    ///
    /// `links` are the head of the list, for which there is nothing, or those of a node that this
    /// table has.
    pub(super) unsafe fn refer_to_links(
        &self,
        admin: &MutexGuard<'_, Admin>,
        links: *mut bindings::list_head,
    ) -> Option<FilterRef<'_, T>> {
        if links == self.list.get() {
            return None;
        }
        let node = NonNull::new(node_of(links))?;
        // SAFETY: By the safety requirements of this function; the lock is held.
        Some(unsafe { self.refer(admin, node) })
    }

    /// # Safety
    ///
    /// `node` is a valid node that was taken out of list and IDR just now, and that somebody refers
    /// to.
    pub(super) unsafe fn set_removed(admin: &MutexGuard<'_, Admin>, node: *mut Boxed<T>) {
        // SAFETY: Valid by the safety requirements of this function; the lock is held. The count of
        // the table is not the last.
        unsafe {
            (*(*node).value.place.0.get()).refs.dec();
            bindings::list_add(Deferred::links(node), admin.removed.get());
        }
    }

    /// Whether a filter was taken out of the table: then it is in the list of those that were.
    ///
    /// # Safety
    ///
    /// `node` is one of the table's, removed or not.
    pub(super) unsafe fn is_removed(_admin: &MutexGuard<'_, Admin>, node: *mut Boxed<T>) -> bool {
        // SAFETY: Valid by the safety requirements of this function; the lock is held. The links were
        // null before.
        unsafe { !(*Deferred::links(node)).next.is_null() }
    }

    /// Gives a reference back.
    ///
    /// # Safety
    ///
    /// `node` is one of the table's, removed or not, and the caller gives one of its references away.
    #[inline(always)]
    unsafe fn put(&self, node: *mut Boxed<T>) {
        // SAFETY: By the safety requirements of this function, for both calls.
        unsafe {
            if !dec_not_one(&(*(*node).value.place.0.get()).refs) {
                self.put_last(node);
            }
        }
    }

    /// Gives back what seems to be the last reference.
    ///
    /// # Safety
    ///
    /// As for [`Self::put`].
    #[inline(never)]
    unsafe fn put_last(&self, node: *mut Boxed<T>) {
        {
            let _admin = self.admin.lock();
            // SAFETY: Valid by the safety requirements of this function; the lock is held. What nobody
            // refers to and is not in the table is among the removed.
            unsafe {
                if !(*(*node).value.place.0.get()).refs.dec_and_test() {
                    return;
                }
                bindings::list_del(Deferred::links(node));
            }
        }
        // SAFETY: Taken out of its box, in no list, and nobody has it but the packet path, which
        // does not find it any more. The queue waits for those that found it before.
        unsafe {
            if (*node).value.exts().hold_net() {
                Deferred::queue(node);
            } else {
                // The devices of the namespace are closed, and packets were waited for.
                Self::free(node);
            }
        }
    }
}
