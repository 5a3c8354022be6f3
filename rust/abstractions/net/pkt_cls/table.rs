// SPDX-License-Identifier: GPL-2.0-only

//! Filters, in the order in which they are asked and by handle.
//!
//! The packet path walks an RCU list, newest first. Requests look filters up by handle in an IDR,
//! which is what keeps them from walking a list of 100,000.
//!
//! Requests hold what they look up by a counted reference, for others may delete it meanwhile:
//! they need not hold RTNL. Packets are waited for by a grace period.
//!
//! C headers: [`include/linux/rculist.h`](srctree/include/linux/rculist.h),
//! [`include/linux/idr.h`](srctree/include/linux/idr.h)

use super::{
    block::{
        Proto,
        Writer, //
    },
    Filter, //
};
use crate::abstractions::{
    bindings,
    sync::rcu::ReadSide, //
};
use core::{
    cell::{
        Cell,
        UnsafeCell, //
    },
    marker::PhantomData,
    mem::{
        offset_of,
        ManuallyDrop, //
    },
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    error::to_result,
    pr_err_once,
    prelude::*,
    sync::{
        new_mutex,
        Mutex,
        MutexGuard, //
    },
    types::Opaque, //
};

/// Something that is freed by the tc work queue, after a grace period.
///
/// So a reference to `value` that was got under RCU is good until the end of that section, whatever
/// happens to the thing meanwhile. The core flushes the queue before it lets a classifier go, and
/// with it the module that has the code.
#[pin_data]
#[repr(C)]
pub(super) struct Deferred<T> {
    #[pin]
    pub(super) value: T,
    work: Opaque<bindings::rcu_work>,
}

impl<T: Send> Deferred<T> {
    /// Wraps what `init` makes.
    #[inline(always)]
    pub(super) fn new(init: impl PinInit<T, Error>) -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(
            try_pin_init!(Self {
                value <- init,
                work: Opaque::uninit(),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Takes what [`KBox::into_raw`] gave, and has it freed later. C: `tcf_queue_work()`.
    ///
    /// # Safety
    ///
    /// `this` came out of such a box, is not queued yet, nobody but the packet path has it, and new
    /// readers cannot find it.
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
        // SAFETY: `queue` took it out of a box, and nobody had it any more but the packet path,
        // for which a grace period has passed since then. It was pinned, and is dropped in place.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(this)) });
    }
}

/// A filter with its place in the list, in the order of what the packet path reads.
#[pin_data]
#[repr(C)]
struct Node<F> {
    #[pin]
    links: Opaque<bindings::list_head>,
    filter: F,
    /// Protected by the lock of the table, but before the node is in it.
    admin: UnsafeCell<NodeAdmin>,
    /// Among those that were taken out and still are referred to.
    #[pin]
    removed: Opaque<bindings::list_head>,
}

#[derive(Clone, Copy)]
struct NodeAdmin {
    id: u32,
    /// Counted references, see [`FilterRef`].
    refs: u32,
    /// The higher, the newer. What is put in another's place has it.
    place: u64,
    /// Whether the table has it.
    live: bool,
}

// SAFETY: The links and `admin` belong to the table, whose lock sees to who changes them.
unsafe impl<F: Send> Send for Node<F> {}

type Boxed<F> = Deferred<Node<F>>;

impl<F> Node<F> {
    fn boxed(links: *mut bindings::list_head, offset: usize) -> *mut Boxed<F> {
        links
            .wrapping_byte_sub(offset)
            .wrapping_byte_sub(offset_of!(Boxed<F>, value))
            .cast()
    }
}

/// A filter that is in no table yet. Made first, so that what follows cannot fail.
pub(crate) struct Entry<F: Filter>(Pin<KBox<Boxed<F>>>);

impl<F: Filter> Entry<F> {
    /// Allocates. Process context.
    #[inline(always)]
    pub(crate) fn new(filter: F) -> Result<Self> {
        Deferred::new(try_pin_init!(Node {
            links: Opaque::uninit(),
            filter,
            admin: UnsafeCell::new(NodeAdmin {
                id: 0,
                refs: 0,
                place: 0,
                live: false,
            }),
            removed: Opaque::uninit(),
        }))
        .map(Self)
    }

    /// The filter.
    pub(crate) fn filter(&self) -> &F {
        &self.0.value.filter
    }

    /// Makes it one of a table's, where it stays until it is freed.
    fn into_node(self, admin: NodeAdmin) -> NonNull<Boxed<F>> {
        // SAFETY: It stays where it is until the table frees it.
        let node = KBox::into_raw(unsafe { Pin::into_inner_unchecked(self.0) });
        // SAFETY: Valid, and not at address 0, for it comes out of a box. Nobody else has it.
        unsafe {
            (*node).value.admin.get().write(admin);
            NonNull::new_unchecked(node)
        }
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

/// What the lock of a table protects, besides the list.
#[pin_data]
struct Admin {
    #[pin]
    ids: Opaque<bindings::idr>,
    #[pin]
    removed: Opaque<bindings::list_head>,
    /// The last that was given out, see [`NodeAdmin`].
    place: Cell<u64>,
}

// SAFETY: What is in there belongs to the table, and may be used by whichever thread has the lock.
unsafe impl Send for Admin {}

/// The filters of one instance of a classifier.
///
/// # Invariants
///
/// The list and the IDR hold the same nodes (but for reservations, which the IDR alone has), each
/// of them live and a [`Deferred`] taken out of its box; the list in the order of places. The list
/// of removed ones holds those that are not live and that somebody refers to. All of it changes
/// under the lock only.
#[pin_data(PinnedDrop)]
pub(crate) struct FilterTable<F: Filter> {
    #[pin]
    list: Opaque<bindings::list_head>,
    #[pin]
    admin: Mutex<Admin>,
    _filters: PhantomData<F>,
}

// SAFETY: The table owns its filters, and has a lock for all but what RCU protects.
unsafe impl<F: Filter> Send for FilterTable<F> {}

// SAFETY: As above; readers get shared references to filters only.
unsafe impl<F: Filter> Sync for FilterTable<F> {}

impl<F: Filter> FilterTable<F> {
    /// An empty table.
    pub(crate) fn new() -> impl PinInit<Self> {
        let admin = pin_init!(Admin {
            // SAFETY: The slot is valid, and pinned.
            ids <- Opaque::ffi_init(|ids| unsafe { bindings::idr_init(ids) }),
            // SAFETY: The slot is valid, and pinned.
            removed <- Opaque::ffi_init(|list| unsafe { bindings::INIT_LIST_HEAD_RCU(list) }),
            place: Cell::new(0),
        });
        pin_init!(Self {
            // SAFETY: The slot is valid, and pinned.
            list <- Opaque::ffi_init(|list| unsafe { bindings::INIT_LIST_HEAD_RCU(list) }),
            admin <- new_mutex!(admin, "lwtcls::FilterTable"),
            _filters: PhantomData,
        })
    }

    /// Sets a handle aside. `ENOSPC` if it (or, with [`Handle::Auto`], every one) is taken,
    /// `ENOMEM`. O(log n). May sleep. C: `idr_alloc_u32()`.
    pub(crate) fn reserve(&self, handle: Handle) -> Result<Reservation<'_, F>> {
        let (mut id, max) = match handle {
            Handle::Auto => (1, i32::MAX as c_ulong),
            Handle::Exact(id) => (id, id as c_ulong),
        };
        let admin = self.admin.lock();
        // SAFETY: The IDR is valid, and locked.
        to_result(unsafe {
            bindings::idr_alloc_u32(
                admin.ids.get(),
                ptr::null_mut(),
                &mut id,
                max,
                bindings::GFP_KERNEL,
            )
        })?;
        Ok(Reservation { table: self, id })
    }

    fn find(admin: &MutexGuard<'_, Admin>, id: u32) -> *mut Boxed<F> {
        // SAFETY: The IDR is valid, and locked.
        unsafe { bindings::idr_find(admin.ids.get(), id as c_ulong) }.cast()
    }

    /// # Safety
    ///
    /// `node` is a node of this table, live or removed, and not freed before the lock is let go.
    unsafe fn refer(
        &self,
        _admin: &MutexGuard<'_, Admin>,
        node: NonNull<Boxed<F>>,
    ) -> FilterRef<'_, F> {
        // SAFETY: By the safety requirements of this function; the lock is held.
        unsafe { (*(*node.as_ptr()).value.admin.get()).refs += 1 };
        // INVARIANT: Counted by the line above.
        FilterRef { table: self, node }
    }

    /// # Safety
    ///
    /// `links` are the head of the list, for which there is nothing, or those of a live node.
    unsafe fn refer_to_links(
        &self,
        admin: &MutexGuard<'_, Admin>,
        links: *mut bindings::list_head,
    ) -> Option<FilterRef<'_, F>> {
        if links == self.list.get() {
            return None;
        }
        let node = NonNull::new(Node::boxed(links, offset_of!(Node<F>, links)))?;
        // SAFETY: A live node by the safety requirements of this function; the lock is held.
        Some(unsafe { self.refer(admin, node) })
    }

    /// The filter with that handle. O(log n). May sleep.
    pub(crate) fn get(&self, id: u32) -> Option<FilterRef<'_, F>> {
        let admin = self.admin.lock();
        let node = NonNull::new(Self::find(&admin, id))?;
        // SAFETY: A live node by the type invariant, and the lock is held.
        Some(unsafe { self.refer(&admin, node) })
    }

    /// The filter after `at`, or the first. O(1), unless `at` was deleted meanwhile. May sleep.
    pub(super) fn next(&self, at: Option<&FilterRef<'_, F>>) -> Option<FilterRef<'_, F>> {
        let admin = self.admin.lock();
        let head = self.list.get();
        // SAFETY: All nodes of the list are live, by the type invariant, and the lock is held. The
        // node of a reference is valid; if it is not live any more, its links are not used.
        unsafe {
            let next = match at.map(|at| at.node.as_ptr()) {
                None => (*head).next,
                Some(at) => {
                    let was = *(*at).value.admin.get();
                    let now = Self::find(&admin, was.id);
                    // It, or what was put in its place.
                    if !now.is_null() && (*(*now).value.admin.get()).place == was.place {
                        (*(*now).value.links.get()).next
                    } else {
                        let mut next = (*head).next;
                        while next != head && Self::place(next) >= was.place {
                            next = (*next).next;
                        }
                        next
                    }
                }
            };
            self.refer_to_links(&admin, next)
        }
    }

    /// # Safety
    ///
    /// `links` are those of a live node, and the lock is held.
    unsafe fn place(links: *mut bindings::list_head) -> u64 {
        let node = Node::<F>::boxed(links, offset_of!(Node<F>, links));
        // SAFETY: By the safety requirements of this function.
        unsafe { (*(*node).value.admin.get()).place }
    }

    /// The filter that has `index` others in front of it. O(n). May sleep.
    pub(crate) fn nth(&self, index: usize) -> Option<FilterRef<'_, F>> {
        let admin = self.admin.lock();
        let head = self.list.get();
        // SAFETY: All nodes of the list are live, by the type invariant, and the lock is held.
        unsafe {
            let mut links = (*head).next;
            for _ in 0..index {
                if links == head {
                    break;
                }
                links = (*links).next;
            }
            self.refer_to_links(&admin, links)
        }
    }

    /// Calls `f` for each filter, newest first, until it fails. The table may change meanwhile.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&F) -> Result) -> Result {
        let mut at = self.next(None);
        while let Some(filter) = at {
            f(&filter)?;
            at = self.next(Some(&filter));
        }
        Ok(())
    }

    /// Puts a filter in the place of `old`, for readers in one step. The old one is freed when
    /// nobody uses it. O(log n). May sleep.
    ///
    /// Gives the filter back if `old` is not in the table any more, or the instance is being
    /// deleted: the request must begin anew.
    pub(crate) fn replace(
        &self,
        _writer: &Writer<'_>,
        tp: &Proto,
        old: &FilterRef<'_, F>,
        entry: Entry<F>,
    ) -> Result<FilterRef<'_, F>, Entry<F>> {
        assert!(ptr::eq(old.table, self));
        let old = old.node.as_ptr();
        let admin = self.admin.lock();
        // SAFETY: Valid by the invariant of the reference; the lock is held.
        let was = unsafe { *(*old).value.admin.get() };
        let Some(_open) = was.live.then(|| tp.open()).flatten() else {
            return Err(entry);
        };
        let node = entry.into_node(NodeAdmin { refs: 0, ..was });
        let new = node.as_ptr();
        // SAFETY: The old node is live, by the above, and the new one was made just now; the lock
        // is held. Replacing the pointer of an id that is there allocates nothing and cannot fail.
        // New readers do not find the old node any more, by either way.
        unsafe {
            bindings::idr_replace(admin.ids.get(), new.cast(), was.id as c_ulong);
            bindings::list_replace_rcu((*old).value.links.get(), (*new).value.links.get());
            Self::set_removed(&admin, old);
            Ok(self.refer(&admin, node))
        }
    }

    /// Takes a filter out. It is freed when nobody uses it. Returns whether it was still there.
    /// O(log n). May sleep.
    pub(crate) fn remove(&self, _writer: &Writer<'_>, old: &FilterRef<'_, F>) -> bool {
        assert!(ptr::eq(old.table, self));
        let old = old.node.as_ptr();
        let admin = self.admin.lock();
        // SAFETY: Valid by the invariant of the reference; the lock is held.
        unsafe {
            let was = *(*old).value.admin.get();
            if was.live {
                bindings::idr_remove(admin.ids.get(), was.id as c_ulong);
                bindings::list_del_rcu((*old).value.links.get());
                Self::set_removed(&admin, old);
            }
            was.live
        }
    }

    /// # Safety
    ///
    /// `node` is a valid node that was taken out of list and IDR just now, and that somebody refers
    /// to.
    unsafe fn set_removed(admin: &MutexGuard<'_, Admin>, node: *mut Boxed<F>) {
        // SAFETY: Valid by the safety requirements of this function; the lock is held.
        unsafe {
            (*(*node).value.admin.get()).live = false;
            bindings::list_add((*node).value.removed.get(), admin.removed.get());
        }
    }

    /// Whether there is no filter, and none on its way in. May sleep.
    pub(crate) fn is_empty(&self) -> bool {
        let admin = self.admin.lock();
        // SAFETY: The IDR is valid, and locked.
        unsafe { bindings::idr_is_empty(admin.ids.get()) }
    }

    /// If the table is empty, marks its instance as being deleted: nothing comes in any more.
    /// C: `delete_empty`.
    pub(super) fn close_if_empty(&self, tp: &Proto) -> bool {
        let admin = self.admin.lock();
        // SAFETY: The IDR is valid, and locked.
        let empty = unsafe { bindings::idr_is_empty(admin.ids.get()) };
        if empty {
            tp.set_deleting();
        }
        empty
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

    /// Makes the table ready to be freed at any time, together with its filters: they hold the
    /// namespace from here on. If that is on its way out, the filters are freed now.
    ///
    /// # Safety
    ///
    /// Called once, when no request has the instance any more, and packets do not find it.
    pub(super) unsafe fn detach(&self) {
        // Not locked, for what is dropped has locks of its own.
        for (list, offset) in self.lists() {
            // SAFETY: By the type invariant, and because nobody refers to a filter any more: a
            // request holds its instance while it refers to one, whether or not it was counted
            // down. A node's own successor is read before the node goes.
            unsafe {
                let mut at = (*list).next;
                while at != list {
                    let node = Node::<F>::boxed(at, offset);
                    at = (*at).next;
                    if !(*node).value.filter.actions().hold_net() {
                        // The devices of the namespace are closed, and packets were waited for.
                        bindings::list_del_rcu(Self::links(node, offset));
                        Self::free(node);
                    }
                }
            }
        }
    }

    /// Both lists, and where their links are in a node.
    fn lists(&self) -> [(*mut bindings::list_head, usize); 2] {
        let removed = self.admin.lock().removed.get();
        [
            (self.list.get(), offset_of!(Node<F>, links)),
            (removed, offset_of!(Node<F>, removed)),
        ]
    }

    fn links(node: *mut Boxed<F>, offset: usize) -> *mut bindings::list_head {
        node.wrapping_byte_add(offset_of!(Boxed<F>, value))
            .wrapping_byte_add(offset)
            .cast()
    }

    /// Frees a filter, unless a device has it still: then it is lost, for the device may use it.
    ///
    /// # Safety
    ///
    /// `node` was taken out of its box, and nobody has it.
    unsafe fn free(node: *mut Boxed<F>) {
        // SAFETY: By the safety requirements of this function. It was pinned, and is dropped in
        // place.
        let node = unsafe { Pin::new_unchecked(KBox::from_raw(node)) };
        if node.value.filter.offload().in_hw() {
            pr_err_once!("a filter is still in a device, and is never freed\n");
            // SAFETY: The filter is valid, and stays.
            unsafe { bindings::kmemleak_not_leak((&raw const *node).cast()) };
            core::mem::forget(node);
        }
    }

    /// Gives a reference back.
    fn put(&self, node: *mut Boxed<F>) {
        {
            let admin = self.admin.lock();
            // SAFETY: Referred to until here, so valid; the lock is held. Others may read the id.
            let now = unsafe {
                (*(*node).value.admin.get()).refs -= 1;
                *(*node).value.admin.get()
            };
            if now.live || now.refs != 0 {
                return;
            }
            // SAFETY: Not live but referred to until now, so among the removed; the lock is held.
            unsafe { bindings::list_del((*node).value.removed.get()) };
            drop(admin);
        }
        // SAFETY: Taken out of its box, in no list, and nobody has it but the packet path, which
        // does not find it anew. The queue waits for those that found it before.
        unsafe {
            if (*node).value.filter.offload().in_hw() {
                Self::free(node);
            } else if (*node).value.filter.actions().hold_net() {
                Deferred::queue(node);
            } else {
                // The devices of the namespace are closed, and packets were waited for.
                Self::free(node);
            }
        }
    }
}

#[pinned_drop]
impl<F: Filter> PinnedDrop for FilterTable<F> {
    fn drop(self: Pin<&mut Self>) {
        for (list, offset) in self.lists() {
            // SAFETY: The lists are valid. Nobody else has the table any more: the nodes are ours
            // to take apart. Whoever drops a table that readers have seen does so after a grace
            // period.
            unsafe {
                let mut at = (*list).next;
                while at != list {
                    let node = Node::<F>::boxed(at, offset);
                    at = (*at).next;
                    Self::free(node);
                }
            }
        }
        // SAFETY: The IDR is valid, and not used any more.
        unsafe { bindings::idr_destroy(self.admin.lock().ids.get()) };
    }
}

/// A counted reference to a filter, which others may take out of the table meanwhile.
///
/// # Invariants
///
/// `node` is one of the table's, live or removed, and counts this reference.
pub(crate) struct FilterRef<'a, F: Filter> {
    table: &'a FilterTable<F>,
    node: NonNull<Boxed<F>>,
}

impl<'a, F: Filter> FilterRef<'a, F> {
    /// The handle.
    pub(crate) fn handle(&self) -> u32 {
        // SAFETY: Valid by the type invariant. The number does not change once the node is in the
        // table.
        unsafe { (*(*self.node.as_ptr()).value.admin.get()).id }
    }

    /// Gives the reference to the core, which knows filters by such pointers.
    pub(super) fn into_raw(self) -> *mut c_void {
        ManuallyDrop::new(self).node.as_ptr().cast()
    }

    /// What the core knows the filter by, for as long as the reference lives.
    pub(super) fn as_raw(&self) -> *mut c_void {
        self.node.as_ptr().cast()
    }

    /// Takes a reference back from the core.
    ///
    /// # Safety
    ///
    /// `raw` is null or comes from [`Self::into_raw`] of a reference into that table, and the core
    /// does not use it any more.
    pub(super) unsafe fn from_raw(table: &'a FilterTable<F>, raw: *mut c_void) -> Option<Self> {
        // INVARIANT: By the safety requirements of this function.
        NonNull::new(raw.cast()).map(|node| Self { table, node })
    }

    /// The filter that the core shows us, and its handle.
    ///
    /// # Safety
    ///
    /// `raw` is null, or comes from [`Self::into_raw`] or [`Self::as_raw`] of a reference that
    /// lives for `'a`.
    pub(super) unsafe fn borrow(raw: *mut c_void) -> Option<(u32, &'a F)> {
        // SAFETY: By the safety requirements of this function; see `handle`.
        unsafe {
            raw.cast::<Boxed<F>>()
                .as_ref()
                .map(|node| ((*node.value.admin.get()).id, &node.value.filter))
        }
    }
}

impl<F: Filter> Deref for FilterRef<'_, F> {
    type Target = F;

    fn deref(&self) -> &F {
        // SAFETY: Valid by the type invariant.
        unsafe { &(*self.node.as_ptr()).value.filter }
    }
}

impl<F: Filter> Drop for FilterRef<'_, F> {
    fn drop(&mut self) {
        self.table.put(self.node.as_ptr());
    }
}

/// A handle that is set aside. Its drop gives the handle back.
pub(crate) struct Reservation<'a, F: Filter> {
    table: &'a FilterTable<F>,
    id: u32,
}

impl<'a, F: Filter> Reservation<'a, F> {
    /// Puts a filter under the handle, and in front of all others. May sleep.
    ///
    /// Gives the filter back if the instance is being deleted: the request must begin anew.
    pub(crate) fn publish(
        self,
        _writer: &Writer<'_>,
        tp: &Proto,
        entry: Entry<F>,
    ) -> Result<FilterRef<'a, F>, Entry<F>> {
        let table = self.table;
        let admin = table.admin.lock();
        let Some(_open) = tp.open() else {
            return Err(entry);
        };
        // What is reserved is used now.
        let id = ManuallyDrop::new(self).id;
        admin.place.set(admin.place.get() + 1);
        let node = entry.into_node(NodeAdmin {
            id,
            refs: 0,
            place: admin.place.get(),
            live: true,
        });
        let new = node.as_ptr();
        // SAFETY: The table is valid and locked, and the node was made just now. The id was
        // allocated by `reserve`, so this allocates nothing and cannot fail.
        unsafe {
            bindings::idr_replace(admin.ids.get(), new.cast(), id as c_ulong);
            bindings::list_add_rcu((*new).value.links.get(), table.list.get());
            Ok(table.refer(&admin, node))
        }
    }
}

impl<F: Filter> Drop for Reservation<'_, F> {
    fn drop(&mut self) {
        let admin = self.table.admin.lock();
        // SAFETY: The IDR is valid and locked, and the id is ours.
        unsafe { bindings::idr_remove(admin.ids.get(), self.id as c_ulong) };
    }
}

/// Walks the filters of a table.
///
/// # Invariants
///
/// `at` is the list's head, or the links of a node that is not freed during `'a`, for that lies in an
/// RCU read side.
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
        let node = Node::<F>::boxed(self.at, offset_of!(Node<F>, links));
        // SAFETY: Not the head, so the links of a node, which stays by the type invariant.
        Some(unsafe { &(*node).value.filter })
    }
}
