// SPDX-License-Identifier: GPL-2.0-only

//! Filters, in the order in which packets see them, and by handle.
//!
//! The packet path walks an RCU list, newest first. Requests look filters up by handle in an IDR,
//! so that they do not walk a list of 100,000.
//!
//! A request holds a counted reference to each filter that it looks up, because other requests may
//! delete the filter meanwhile: requests need not hold RTNL. Filters are freed after a grace period,
//! for the packet path.
//!
//! C headers: [`include/linux/rculist.h`](srctree/include/linux/rculist.h),
//! [`include/linux/idr.h`](srctree/include/linux/idr.h)

mod cursor;
mod entry;
mod filter_ref;
mod iter;
mod update;

pub(crate) use entry::Entry;
pub(super) use entry::Place;
pub(crate) use filter_ref::FilterRef;
pub(crate) use iter::Iter;
pub(crate) use update::Handle;

use super::{
    filter::Filter,
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
use entry::{
    node_of,
    Boxed, //
};
use kernel::{
    prelude::*,
    sync::{
        new_mutex,
        Mutex,
        MutexGuard, //
    },
    types::Opaque, //
};

/// What the lock of a table protects, besides the list.
#[pin_data]
struct Admin {
    #[pin]
    ids: Opaque<bindings::idr>,
    #[pin]
    removed: Opaque<bindings::list_head>,
    /// The last that was given out, see [`PlaceAdmin`].
    seq: Cell<u64>,
}

// SAFETY: What is in there belongs to the table, and may be used by whichever thread has the lock.
unsafe impl Send for Admin {}

/// The filters of one instance of a classifier.
///
/// # Invariants
///
/// The list and the IDR hold the same nodes (but for reservations, which the IDR alone has), none of
/// them removed, each a [`Deferred`] taken out of its box and counted once for being there; the list
/// in the order of sequence numbers. The list of removed ones holds those that were taken out and that
/// somebody refers to: it alone uses the links of a [`Deferred`]. All of it changes under the lock only.
#[pin_data(PinnedDrop)]
pub(crate) struct FilterTable<T: Classifier> {
    #[pin]
    list: Opaque<bindings::list_head>,
    #[pin]
    admin: Mutex<Admin>,
    _filters: PhantomData<Filter<T>>,
}

// SAFETY: The table owns its filters, and has a lock for all but what RCU protects.
unsafe impl<T: Classifier> Send for FilterTable<T> {}

// SAFETY: Whoever shares it gets shared references to filters, and has to take the lock for the rest.
unsafe impl<T: Classifier> Sync for FilterTable<T> {}

/// One of the lists of a table, and how its nodes are linked there.
struct List<T: Classifier> {
    head: *mut bindings::list_head,
    node_of: fn(*mut bindings::list_head) -> *mut Boxed<T>,
}

#[pinned_drop]
impl<T: Classifier> PinnedDrop for FilterTable<T> {
    fn drop(self: Pin<&mut Self>) {
        for list in self.lists() {
            // SAFETY: The lists are valid. Nobody else has the table any more: the nodes are ours
            // to take apart. Whoever drops a table that readers have seen does so after a grace
            // period.
            unsafe {
                let mut at = (*list.head).next;
                while at != list.head {
                    let node = (list.node_of)(at);
                    at = (*at).next;
                    Self::free(node);
                }
            }
        }
        // SAFETY: The IDR is valid, and not used any more.
        unsafe { bindings::idr_destroy(self.admin.lock().ids.get()) };
    }
}

impl<T: Classifier> FilterTable<T> {
    /// An empty table. [`Self::detach`] must be called before the instance goes that it belongs to.
    pub(in crate::abstractions) fn new() -> impl PinInit<Self, Error> {
        let admin = pin_init!(Admin {
            // SAFETY: The slot is valid, and pinned.
            ids <- Opaque::ffi_init(|ids| unsafe { bindings::idr_init(ids) }),
            // SAFETY: The slot is valid, and pinned.
            removed <- Opaque::ffi_init(|list| unsafe { bindings::INIT_LIST_HEAD_RCU(list) }),
            seq: Cell::new(0),
        });
        try_pin_init!(Self {
            // SAFETY: The slot is valid, and pinned.
            list <- Opaque::ffi_init(|list| unsafe { bindings::INIT_LIST_HEAD_RCU(list) }),
            admin <- new_mutex!(admin, "lwtcls::FilterTable"),
            _filters: PhantomData,
        })
    }

    /// Puts a filter in front of all others.
    ///
    /// # Safety
    ///
    /// The lock is that of this table, the node comes from [`Entry::into_node`] just now, and the IDR
    /// has it by that handle.
    unsafe fn link(
        &self,
        admin: &MutexGuard<'_, Admin>,
        node: NonNull<Boxed<T>>,
        id: u32,
    ) -> FilterRef<'_, T> {
        let new = node.as_ptr();
        let seq = admin.seq.get() + 1;
        admin.seq.set(seq);
        // SAFETY: Nobody else has the node's place before it is in the list, which is valid and locked.
        // It is in both then.
        unsafe {
            Self::place(new, id, seq);
            bindings::list_add_rcu((*new).value.links.get(), self.list.get());
            self.refer(admin, node)
        }
    }

    /// # Safety
    ///
    /// `node` is valid, and nobody else has its place.
    unsafe fn place(node: *mut Boxed<T>, id: u32, seq: u64) {
        // SAFETY: By the safety requirements of this function.
        unsafe {
            let admin = (*node).value.place.0.get();
            (*admin).id = id;
            (*admin).seq = seq;
        }
    }

    fn find(admin: &MutexGuard<'_, Admin>, id: u32) -> *mut Boxed<T> {
        // SAFETY: The IDR is valid, and locked.
        unsafe { bindings::idr_find(admin.ids.get(), id as c_ulong) }.cast()
    }

    /// The filter with that handle. O(log n). May sleep.
    pub(crate) fn get(&self, id: u32) -> Option<FilterRef<'_, T>> {
        let admin = self.admin.lock();
        let node = NonNull::new(Self::find(&admin, id))?;
        // SAFETY: One that the table has, by the type invariant, and the lock is held.
        Some(unsafe { self.refer(&admin, node) })
    }

    /// Whether there is no filter, and none on its way in. May sleep.
    #[cfg(lwtcls_kunit)]
    pub(crate) fn is_empty(&self) -> bool {
        self.if_empty(|| ())
    }

    /// Whether there seems to be no filter. What others do meanwhile, and those on their way in, may
    /// make another truth of it: who acts on that looks again.
    pub(super) fn looks_empty(&self) -> bool {
        // SAFETY: The head is valid. A single pointer is read, which others write in one piece.
        unsafe { bindings::list_empty(self.list.get()) }
    }

    /// Whether there is no filter, and none on its way in. If so, calls `f`, and nothing comes in
    /// meanwhile. May sleep.
    pub(super) fn if_empty(&self, f: impl FnOnce()) -> bool {
        let admin = self.admin.lock();
        // SAFETY: The IDR is valid, and locked.
        let empty = unsafe { bindings::idr_is_empty(admin.ids.get()) };
        if empty {
            f();
        }
        empty
    }

    /// The filters, newest first, for the packet path.
    #[inline(always)]
    pub(super) fn iter<'a>(&'a self, _rcu: &'a ReadSide<'_>) -> Iter<'a, T> {
        Iter {
            head: self.list.get(),
            at: self.list.get(),
            _filters: PhantomData,
        }
    }

    /// Makes the table ready to be freed at any time, together with its filters: they hold the
    /// namespace from here on. If that is on its way out, the filters are freed now.
    ///
    /// # Safety
    ///
    /// Called once, when no request has the instance any more, and packets do not find it.
    pub(super) unsafe fn detach(&self) {
        // Not locked, for what is dropped has locks of its own.
        for list in self.lists() {
            // SAFETY: By the type invariant, and because nobody refers to a filter any more: a
            // request holds its instance while it refers to one, whether or not it was counted
            // down. A node's own successor is read before the node goes.
            unsafe {
                let mut at = (*list.head).next;
                while at != list.head {
                    let (links, node) = (at, (list.node_of)(at));
                    at = (*at).next;
                    if !(*node).value.exts().hold_net() {
                        // The devices of the namespace are closed, and packets were waited for.
                        bindings::list_del_rcu(links);
                        Self::free(node);
                    }
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
                head: self.admin.lock().removed.get(),
                node_of: |links| links.wrapping_byte_sub(Boxed::<T>::LINKS).cast(),
            },
        ]
    }

    /// # Safety
    ///
    /// `node` was taken out of its box, and nobody has it.
    unsafe fn free(node: *mut Boxed<T>) {
        // SAFETY: By the safety requirements of this function. It was pinned, and is dropped in
        // place.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(node)) });
    }
}
