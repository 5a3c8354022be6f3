// SPDX-License-Identifier: GPL-2.0-only

//! The filters of a tcf_proto, in a list for packets and by handle for requests.
//!
//! The packet path walks an RCU list, newest first. Requests look filters up by handle in an IDR,
//! so that they do not walk a list of 100,000.
//!
//! A request holds a counted reference to each filter that it looks up, because requests do not
//! always hold RTNL, and other requests may delete the filter meanwhile. Filters are freed after a
//! grace period, because the packet path does not take references.
//!
//! C headers: [`include/linux/rculist.h`](srctree/include/linux/rculist.h),
//! [`include/linux/idr.h`](srctree/include/linux/idr.h)

mod cursor;
mod filter_ref;
mod iter;
mod node;
mod root;
mod update;

pub(crate) use filter_ref::FilterRef;
pub(crate) use iter::Iter;
pub(crate) use node::NewFilter;
pub(super) use node::TableLink;
pub(crate) use update::Handle;

use super::{
    filter::Filter,
    links::Links,
    Classifier, //
};
use crate::abstractions::{
    bindings,
    sync::rcu::ReadSide, //
};
use core::{
    cell::Cell,
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    sync::{
        new_mutex,
        Mutex,
        MutexGuard, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};
use node::{
    link_of,
    links_of,
    node_of,
    FilterNode, //
};

/// What the lock of a table protects, in addition to the list.
#[pin_data]
struct TableInner {
    #[pin]
    ids: Opaque<bindings::idr>,
    #[pin]
    removed: Opaque<bindings::list_head>,
    /// The number that was assigned last, see [`TableLinkInner`](node::TableLinkInner).
    seq: Cell<u64>,
}

// SAFETY: The fields belong to the table. Any thread that holds the lock may use them.
unsafe impl Send for TableInner {}

/// The filters of a tcf_proto.
///
/// # Invariants
///
/// The list and the IDR contain the same nodes, except for reservations, which are only in the IDR.
/// None of these nodes is removed. Each is a [`RcuWorkBox`](super::rcu_work::RcuWorkBox) that was
/// taken out of its box, and its refcount includes one reference for the table. The list is in the
/// order of sequence numbers. The list of removed nodes contains those that were removed and are
/// still referenced. It alone uses the links of a [`RcuWorkBox`](super::rcu_work::RcuWorkBox). All
/// of this changes only under the lock.
#[pin_data(PinnedDrop)]
pub(crate) struct FilterTable<T: Classifier> {
    #[pin]
    list: Opaque<bindings::list_head>,
    #[pin]
    inner: Mutex<TableInner>,
    _filters: PhantomData<Filter<T>>,
}

// SAFETY: The table owns its filters, and has a lock for everything that RCU does not protect.
unsafe impl<T: Classifier> Send for FilterTable<T> {}

// SAFETY: A shared reference gives shared references to filters. Everything else needs the lock.
unsafe impl<T: Classifier> Sync for FilterTable<T> {}

/// One of the lists of a table, and how to get a node from its links there.
struct List<T: Classifier> {
    head: *mut bindings::list_head,
    node_of: fn(*mut bindings::list_head) -> *mut FilterNode<T>,
}

#[pinned_drop]
impl<T: Classifier> PinnedDrop for FilterTable<T> {
    fn drop(self: Pin<&mut Self>) {
        for list in self.lists() {
            // SAFETY: The list is valid. Nobody else uses the table any more.
            for links in unsafe { Links::of(list.head) } {
                // SAFETY: Nobody else uses the table any more, so the nodes are ours to free. A
                // table that readers have seen is dropped after a grace period.
                unsafe { Self::free((list.node_of)(links)) };
            }
        }
        // SAFETY: The IDR is valid, and not used any more.
        unsafe { bindings::idr_destroy(self.inner.lock().ids.get()) };
    }
}

impl<T: Classifier> FilterTable<T> {
    /// Creates an empty table. [`Self::detach`] must be called before the tcf_proto of the table is
    /// freed.
    pub(in crate::abstractions) fn new() -> impl PinInit<Self, Error> {
        let inner = pin_init!(TableInner {
            // SAFETY: The slot is valid, and pinned.
            ids <- Opaque::ffi_init(|ids| unsafe { bindings::idr_init(ids) }),
            // SAFETY: The slot is valid, and pinned.
            removed <- Opaque::ffi_init(|list| unsafe { bindings::INIT_LIST_HEAD_RCU(list) }),
            seq: Cell::new(0),
        });
        try_pin_init!(Self {
            // SAFETY: The slot is valid, and pinned.
            list <- Opaque::ffi_init(|list| unsafe { bindings::INIT_LIST_HEAD_RCU(list) }),
            inner <- new_mutex!(inner, "FilterTable::inner"),
            _filters: PhantomData,
        })
    }

    /// Adds a filter before all others.
    ///
    /// # Safety
    ///
    /// `inner` is the lock of this table. `node` was just returned by [`NewFilter::into_node`], and
    /// the IDR contains it under that handle.
    unsafe fn link(
        &self,
        inner: &MutexGuard<'_, TableInner>,
        node: NonNull<FilterNode<T>>,
        id: u32,
    ) -> FilterRef<'_, T> {
        let new = node.as_ptr();
        let seq = inner.seq.get() + 1;
        inner.seq.set(seq);
        // SAFETY: Nobody else accesses the node's `link` before it is in the list.
        unsafe { Self::set_link(new, id, seq) };
        // SAFETY: The list is valid and locked. The node is in no list, by the safety requirements
        // of this function.
        unsafe { bindings::list_add_rcu(links_of(new), self.list.get()) };
        // SAFETY: The table has the node, which is both in the IDR and in the list.
        unsafe { self.get_ref(inner, node) }
    }

    /// # Safety
    ///
    /// `node` is valid, and nobody else accesses its `link`.
    unsafe fn set_link(node: *mut FilterNode<T>, id: u32, seq: u64) {
        // SAFETY: By the safety requirements of this function.
        let link = unsafe { &mut *link_of(node) };
        link.id = id;
        link.seq = seq;
    }

    fn find(inner: &MutexGuard<'_, TableInner>, id: u32) -> *mut FilterNode<T> {
        // SAFETY: The IDR is valid, and locked.
        unsafe { bindings::idr_find(inner.ids.get(), id as c_ulong) }.cast()
    }

    /// Returns the filter with that handle. O(log n). May sleep.
    pub(crate) fn get(&self, id: u32) -> Option<FilterRef<'_, T>> {
        let inner = self.inner.lock();
        let node = NonNull::new(Self::find(&inner, id))?;
        // SAFETY: The table has the node, by the type invariant, and the lock is held.
        Some(unsafe { self.get_ref(&inner, node) })
    }

    /// Returns whether there is no filter, and none is being added. May sleep.
    #[cfg(lwtcls_kunit)]
    pub(crate) fn is_empty(&self) -> bool {
        self.if_empty(|| ())
    }

    /// Returns whether there seems to be no filter. Other requests, and filters that are being
    /// added, may change that: callers that act on it must check again.
    pub(super) fn looks_empty(&self) -> bool {
        // SAFETY: The head is valid. A single pointer is read, which is written in a single access.
        unsafe { bindings::list_empty(self.list.get()) }
    }

    /// Calls `f` if there is no filter, and none is being added. None can be added during the call.
    /// Returns whether `f` was called. May sleep.
    pub(super) fn if_empty(&self, f: impl FnOnce()) -> bool {
        let inner = self.inner.lock();
        // SAFETY: The IDR is valid, and locked.
        let empty = unsafe { bindings::idr_is_empty(inner.ids.get()) };
        if empty {
            f();
        }
        empty
    }

    /// Returns the filters, newest first, for the packet path.
    #[inline(always)]
    pub(super) fn iter<'a>(&'a self, _rcu: &'a ReadSide<'_>) -> Iter<'a, T> {
        Iter {
            head: self.list.get(),
            at: self.list.get(),
            _filters: PhantomData,
        }
    }

    /// Makes the table ready to be freed at any time, with its filters: from here on they hold the
    /// namespace. If the namespace is being dismantled, the filters are freed now.
    ///
    /// # Safety
    ///
    /// Called once, when no request uses the tcf_proto any more and packets cannot find it.
    pub(super) unsafe fn detach(&self) {
        // Not locked, because what is dropped takes its own locks.
        for list in self.lists() {
            // SAFETY: The list is valid. No request uses the table, by the safety requirements of
            // this function.
            for links in unsafe { Links::of(list.head) } {
                let node = (list.node_of)(links);
                // SAFETY: The nodes in the lists are valid, by the type invariant.
                let filter = unsafe { &(*node).value };
                // SAFETY: Nobody refers to a filter any more: a request holds its tcf_proto while
                // it uses a filter, even after it has decremented the filter's refcount.
                if !unsafe { filter.exts().get_net() } {
                    // SAFETY: The links are in a list that no request uses.
                    unsafe { bindings::list_del_rcu(links) };
                    // SAFETY: Nobody refers to the filter any more. The devices of the namespace
                    // are closed, and the kernel has waited for their packets.
                    unsafe { Self::free(node) };
                }
            }
        }
    }

    fn lists(&self) -> [List<T>; 2] {
        [
            List {
                head: self.list.get(),
                node_of,
            },
            List {
                head: self.inner.lock().removed.get(),
                node_of: |links| links.wrapping_byte_sub(FilterNode::<T>::LINKS).cast(),
            },
        ]
    }

    /// # Safety
    ///
    /// `node` was taken out of its box, and nobody else has it.
    unsafe fn free(node: *mut FilterNode<T>) {
        // SAFETY: By the safety requirements of this function.
        drop(unsafe { Pin::<KBox<FilterNode<T>>>::from_foreign(node.cast()) });
    }
}
