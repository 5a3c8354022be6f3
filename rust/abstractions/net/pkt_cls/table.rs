// SPDX-License-Identifier: GPL-2.0-only

//! Filters, in the order in which they are asked and by handle.
//!
//! The packet path walks an RCU list, newest first. Requests look filters up by handle in an IDR,
//! which is what keeps them from walking a list of 100,000.
//!
//! C headers: [`include/linux/rculist.h`](srctree/include/linux/rculist.h),
//! [`include/linux/idr.h`](srctree/include/linux/idr.h)

use crate::abstractions::{
    bindings,
    sync::{
        rcu::ReadSide,
        rtnl::{
            self,
            Rtnl, //
        }, //
    }, //
};
use core::{
    marker::{
        PhantomData,
        PhantomPinned, //
    },
    mem::{
        offset_of,
        ManuallyDrop, //
    },
    ptr, //
};
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Something that is freed by the tc work queue: after a grace period, with RTNL held.
///
/// So a reference to `value` that was got under RCU or under RTNL is good until the end of that
/// section, whatever happens to the thing meanwhile. The core flushes the queue before it lets a
/// classifier go, and with it the module that has the code.
#[pin_data]
pub(super) struct Deferred<T> {
    work: Opaque<bindings::rcu_work>,
    #[pin]
    pub(super) value: T,
}

impl<T: Send> Deferred<T> {
    /// Wraps what `init` makes.
    pub(super) fn new(init: impl PinInit<T, Error>) -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(
            try_pin_init!(Self {
                work: Opaque::uninit(),
                value <- init,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Takes what [`KBox::into_raw`] gave, and has it freed later. C: `tcf_queue_work()`.
    ///
    /// # Safety
    ///
    /// `this` came out of such a box, is not queued yet, and new readers cannot find it.
    pub(super) unsafe fn queue(this: *mut Self) {
        // SAFETY: Valid by the safety requirements; the callee initialises the work.
        unsafe { bindings::tcf_queue_work((*this).work.get(), Some(Self::free)) };
    }

    /// # Safety
    ///
    /// Called by the work queue with the work that [`Self::queue`] queued.
    unsafe extern "C" fn free(work: *mut bindings::work_struct) {
        let this = work
            .wrapping_byte_sub(offset_of!(bindings::rcu_work, work))
            .wrapping_byte_sub(offset_of!(Self, work))
            .cast::<Self>();
        let _rtnl = rtnl::lock();
        // SAFETY: `queue` took it out of a box. A grace period has passed since then, and RTNL is
        // held, so nobody has a reference. It was pinned, and is dropped in place.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(this)) });
    }
}

/// A filter with its place in the list.
#[pin_data]
struct Node<F> {
    #[pin]
    links: Opaque<bindings::list_head>,
    filter: F,
}

// SAFETY: The links belong to the list, whose owner sees to who changes them.
unsafe impl<F: Send> Send for Node<F> {}

impl<F> Node<F> {
    /// # Safety
    ///
    /// `links` is that of a node, which is alive for `'a`.
    #[inline(always)]
    unsafe fn from_links<'a>(links: *mut bindings::list_head) -> &'a Self {
        // SAFETY: By the safety requirements of this function.
        unsafe { &*links.wrapping_byte_sub(offset_of!(Self, links)).cast() }
    }
}

/// A filter that is in no table yet. Made first, so that what follows cannot fail.
pub(crate) struct Entry<F: Send>(Pin<KBox<Deferred<Node<F>>>>);

impl<F: Send> Entry<F> {
    /// Allocates. Process context.
    pub(crate) fn new(filter: F) -> Result<Self> {
        Deferred::new(try_pin_init!(Node {
            links: Opaque::uninit(),
            filter,
        }))
        .map(Self)
    }

    /// The filter.
    pub(crate) fn filter(&self) -> &F {
        &self.0.value.filter
    }

    fn into_raw(self) -> *mut Deferred<Node<F>> {
        // SAFETY: It stays where it is until the table frees it.
        KBox::into_raw(unsafe { Pin::into_inner_unchecked(self.0) })
    }
}

/// Which handle a new filter wants.
#[derive(Clone, Copy)]
pub(crate) enum Handle {
    /// The lowest that is free, from 1 to `i32::MAX`.
    Auto,
    /// Just that one.
    Exact(u32),
}

/// The filters of one instance of a classifier.
///
/// # Invariants
///
/// The list and the IDR hold the same nodes (but for reservations, which the IDR alone has), each
/// of them a [`Deferred`] taken out of its box. Both change with RTNL held only.
#[pin_data(PinnedDrop)]
pub(crate) struct FilterTable<F: Send> {
    #[pin]
    list: Opaque<bindings::list_head>,
    #[pin]
    ids: Opaque<bindings::idr>,
    _filters: PhantomData<F>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The table owns its filters; what changes it takes a token of RTNL, which does not go to
// another thread.
unsafe impl<F: Send> Send for FilterTable<F> {}

// SAFETY: As above; readers get shared references to filters only.
unsafe impl<F: Send + Sync> Sync for FilterTable<F> {}

impl<F: Send> FilterTable<F> {
    /// An empty table.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: The slot is valid, and pinned.
            list <- Opaque::ffi_init(|list| unsafe { bindings::INIT_LIST_HEAD_RCU(list) }),
            // SAFETY: The slot is valid, and pinned.
            ids <- Opaque::ffi_init(|ids| unsafe { bindings::idr_init(ids) }),
            _filters: PhantomData,
            _pin: PhantomPinned,
        })
    }

    /// Sets a handle aside. `ENOSPC` if it (or, with [`Handle::Auto`], every one) is taken,
    /// `ENOMEM`. O(log n). C: `idr_alloc_u32()`.
    pub(crate) fn reserve<'a>(
        &'a self,
        rtnl: &'a Rtnl,
        handle: Handle,
    ) -> Result<Reservation<'a, F>> {
        let (mut id, max) = match handle {
            Handle::Auto => (1, i32::MAX as c_ulong),
            Handle::Exact(id) => (id, id as c_ulong),
        };
        // SAFETY: The IDR is valid, and RTNL serialises.
        to_result(unsafe {
            bindings::idr_alloc_u32(
                self.ids.get(),
                ptr::null_mut(),
                &mut id,
                max,
                bindings::GFP_KERNEL,
            )
        })?;
        Ok(Reservation {
            table: self,
            id,
            _rtnl: rtnl,
        })
    }

    fn find(&self, id: u32) -> *mut Deferred<Node<F>> {
        // SAFETY: The IDR is valid. RTNL is held by our callers.
        unsafe { bindings::idr_find(self.ids.get(), id as c_ulong) }.cast()
    }

    /// The filter with that handle. O(log n).
    pub(crate) fn get<'a>(&'a self, _rtnl: &'a Rtnl, id: u32) -> Option<&'a F> {
        // SAFETY: What the IDR holds is a node of ours, by the type invariant. It is not freed
        // before RTNL is let go, see `Deferred`.
        unsafe { self.find(id).as_ref() }.map(|node| &node.value.filter)
    }

    /// Puts a filter in the place of the one with that handle, for readers in one step. The old
    /// one is freed later. `None`, and `entry` is dropped, if there is none. O(log n).
    pub(crate) fn replace<'a>(&'a self, rtnl: &'a Rtnl, id: u32, entry: Entry<F>) -> Option<&'a F> {
        let old = self.find(id);
        if old.is_null() {
            return None;
        }
        let new = entry.into_raw();
        // SAFETY: Both are nodes of ours, by the type invariant and just made; RTNL serialises.
        // Replacing the pointer of an id that is there allocates nothing and cannot fail. New
        // readers do not find the old node any more, by either way.
        unsafe {
            bindings::idr_replace(self.ids.get(), new.cast(), id as c_ulong);
            bindings::list_replace_rcu((*old).value.links.get(), (*new).value.links.get());
            Deferred::queue(old);
        }
        self.get(rtnl, id)
    }

    /// Takes a filter out. It is freed later. Returns whether there was one. O(log n).
    pub(crate) fn remove(&self, _rtnl: &Rtnl, id: u32) -> bool {
        // SAFETY: The IDR is valid, and RTNL serialises.
        let old = unsafe { bindings::idr_remove(self.ids.get(), id as c_ulong) };
        let old = old.cast::<Deferred<Node<F>>>();
        if old.is_null() {
            return false;
        }
        // SAFETY: A node of ours by the type invariant, which no reader finds any more.
        unsafe {
            bindings::list_del_rcu((*old).value.links.get());
            Deferred::queue(old);
        }
        true
    }

    /// Whether there is no filter.
    pub(crate) fn is_empty(&self, rtnl: &Rtnl) -> bool {
        self.iter_rtnl(rtnl).next().is_none()
    }

    /// The filters, newest first, for the packet path.
    #[inline(always)]
    pub(crate) fn iter<'a>(&'a self, _rcu: &'a ReadSide<'_>) -> Iter<'a, F> {
        Iter {
            head: self.list.get(),
            at: self.list.get(),
            _filters: PhantomData,
        }
    }

    /// The filters, newest first, for requests. The table may change meanwhile.
    pub(crate) fn iter_rtnl<'a>(&'a self, _rtnl: &'a Rtnl) -> Iter<'a, F> {
        Iter {
            head: self.list.get(),
            at: self.list.get(),
            _filters: PhantomData,
        }
    }
}

#[pinned_drop]
impl<F: Send> PinnedDrop for FilterTable<F> {
    fn drop(self: Pin<&mut Self>) {
        let head = self.list.get();
        // SAFETY: The list is valid. Nobody else has the table any more: the nodes are ours to
        // take apart. Whoever drops a table that readers have seen does so after a grace period.
        unsafe {
            let mut at = (*head).next;
            while at != head {
                let node = at
                    .wrapping_byte_sub(offset_of!(Node<F>, links))
                    .wrapping_byte_sub(offset_of!(Deferred<Node<F>>, value))
                    .cast::<Deferred<Node<F>>>();
                at = (*at).next;
                drop(Pin::new_unchecked(KBox::from_raw(node)));
            }
            bindings::idr_destroy(self.ids.get());
        }
    }
}

/// A handle that is set aside. Its drop gives the handle back.
pub(crate) struct Reservation<'a, F: Send> {
    table: &'a FilterTable<F>,
    id: u32,
    _rtnl: &'a Rtnl,
}

impl<'a, F: Send> Reservation<'a, F> {
    /// The handle.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Puts a filter under the handle, and in front of all others.
    pub(crate) fn publish(self, entry: Entry<F>) -> &'a F {
        let this = ManuallyDrop::new(self);
        let new = entry.into_raw();
        // SAFETY: The table is valid and RTNL serialises. The id was allocated by `reserve`, so
        // this allocates nothing and cannot fail. The node was made just now, and is not freed
        // before RTNL is let go, see `Deferred`.
        unsafe {
            bindings::idr_replace(this.table.ids.get(), new.cast(), this.id as c_ulong);
            bindings::list_add_rcu((*new).value.links.get(), this.table.list.get());
            &(*new).value.filter
        }
    }
}

impl<F: Send> Drop for Reservation<'_, F> {
    fn drop(&mut self) {
        // SAFETY: The table is valid, RTNL serialises, and the id is ours.
        unsafe { bindings::idr_remove(self.table.ids.get(), self.id as c_ulong) };
    }
}

/// Walks the filters of a table.
///
/// # Invariants
///
/// `at` is the list's head, or the links of a node that is not freed during `'a`: the evidence
/// that was needed to get here says so, for RCU as for RTNL.
pub(crate) struct Iter<'a, F> {
    head: *mut bindings::list_head,
    at: *mut bindings::list_head,
    _filters: PhantomData<&'a F>,
}

impl<'a, F> Iterator for Iter<'a, F> {
    type Item = &'a F;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a F> {
        // SAFETY: By the type invariant. A node that was taken out still points on.
        let next = unsafe { bindings::rcu_dereference_raw((&raw mut (*self.at).next).cast()) };
        self.at = next.cast();
        if self.at == self.head {
            return None;
        }
        // SAFETY: Not the head, so the links of a node, which stays by the type invariant.
        Some(&unsafe { Node::<F>::from_links(self.at) }.filter)
    }
}
