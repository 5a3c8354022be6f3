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
    filter::{
        Filter,
        Parts, //
    },
    proto::{
        TcfProto,
        Writer, //
    },
    Change,
    Classifier, //
};
use crate::abstractions::{
    bindings,
    compat::ENOBUFS,
    success,
    sync::{
        rcu::{
            self,
            ReadSide, //
        },
        refcount::dec_not_one, //
    }, //
};
use core::{
    cell::{
        Cell,
        UnsafeCell, //
    },
    hint::assert_unchecked,
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
    prelude::*,
    sync::{
        new_mutex,
        Mutex,
        MutexGuard,
        Refcount, //
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
    /// Until it is queued, links that whoever has the thing may use.
    work: Opaque<bindings::rcu_work>,
}

impl<T> Deferred<T> {
    /// Where the links are.
    const LINKS: usize = {
        assert!(size_of::<bindings::list_head>() <= size_of::<bindings::rcu_work>());
        offset_of!(Self, work)
    };

    /// The links, which nothing is known of at first.
    fn links(this: *mut Self) -> *mut bindings::list_head {
        this.wrapping_byte_add(Self::LINKS).cast()
    }
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

/// A filter's place in its table. Protected by the lock of the table, but for the count, which is
/// atomic, and before the filter is in there.
pub(super) struct Place(UnsafeCell<PlaceAdmin>);

struct PlaceAdmin {
    id: u32,
    /// The higher, the newer. What is put in another's place has its number.
    seq: u64,
    /// One for the table, while the filter is in it, and one for each [`FilterRef`].
    refs: Refcount,
}

// SAFETY: It belongs to the table, whose lock sees to who changes it; the count is atomic.
unsafe impl Send for Place {}

// SAFETY: Whoever has the lock of the table has it alone, but for the count, which is atomic, and the
// id, which does not change once the filter is in the table.
unsafe impl Sync for Place {}

impl Place {
    /// In no table yet.
    pub(super) fn none() -> Self {
        Self(UnsafeCell::new(PlaceAdmin {
            id: 0,
            seq: 0,
            refs: Refcount::new(1),
        }))
    }
}

type Boxed<T> = Deferred<Filter<T>>;

/// The node of a filter, from where it is linked in the list.
fn node_of<T: Classifier>(links: *mut bindings::list_head) -> *mut Boxed<T> {
    links
        .wrapping_byte_sub(offset_of!(Filter<T>, links))
        .wrapping_byte_sub(offset_of!(Boxed<T>, value))
        .cast()
}

/// A filter that is in no table yet: made first, so that what follows cannot fail. It goes with the
/// request, of `'a`, that it is made for.
pub(crate) struct Entry<'a, T: Classifier> {
    node: Pin<KBox<Boxed<T>>>,
    /// The class whose filters the request changes.
    base: c_ulong,
    _request: PhantomData<&'a ()>,
}

impl<'a, T: Classifier> Entry<'a, T> {
    /// Allocates. `ENOBUFS`. Process context.
    pub(crate) fn new(change: &Change<'a, T>, parts: Parts<'a, T>) -> Result<Self> {
        Self::with_base(change.base, parts)
    }

    /// As [`Self::new`], with the class whose filters are changed.
    #[inline(always)]
    pub(in crate::abstractions) fn with_base(base: c_ulong, parts: Parts<'a, T>) -> Result<Self> {
        let mut node = KBox::<Boxed<T>>::new_uninit(GFP_KERNEL_ACCOUNT).map_err(|_| ENOBUFS)?;
        // SAFETY: The memory is ours. The value goes within `'a`, and so do the actions, or it is
        // published. Then `FilterTable::detach` or `FilterTable::put_last` has the actions hold their
        // namespace before the instance goes, which the namespace outlives. Of the rest of a node
        // only the links must have a value.
        let node = unsafe {
            let at = node.as_mut_ptr();
            Filter::write(&raw mut (*at).value, parts);
            (*Deferred::links(at)).next = ptr::null_mut();
            node.assume_init()
        };
        Ok(Self {
            node: KBox::into_pin(node),
            base,
            _request: PhantomData,
        })
    }

    /// Takes it out of its box, as the table has it. It stays where it is until the table frees it.
    fn into_node(self) -> NonNull<Boxed<T>> {
        // SAFETY: It is not moved, and not at address 0, for it comes out of a box.
        unsafe { NonNull::new_unchecked(KBox::into_raw(Pin::into_inner_unchecked(self.node))) }
    }

    /// Undoes [`Self::into_node`].
    ///
    /// # Safety
    ///
    /// `node` comes from there, of a request of `'a`, and nobody else has it.
    unsafe fn from_node(node: NonNull<Boxed<T>>, base: c_ulong) -> Self {
        Self {
            // SAFETY: By the safety requirements of this function. It was pinned, and is again.
            node: unsafe { Pin::new_unchecked(KBox::from_raw(node.as_ptr())) },
            base,
            _request: PhantomData,
        }
    }
}

impl<T: Classifier> Deref for Entry<'_, T> {
    type Target = Filter<T>;

    fn deref(&self) -> &Filter<T> {
        &self.node.value
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

impl Handle {
    /// The lowest and the highest that will do.
    fn range(self) -> (u32, c_ulong) {
        match self {
            Self::Auto => (1, i32::MAX as c_ulong),
            Self::Exact(id) => (id, id as c_ulong),
        }
    }
}

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

    /// # Safety
    ///
    /// `node` is a node that this table has.
    unsafe fn refer(
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
    unsafe fn refer_to_links(
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

    /// The filter with that handle. O(log n). May sleep.
    pub(crate) fn get(&self, id: u32) -> Option<FilterRef<'_, T>> {
        let admin = self.admin.lock();
        let node = NonNull::new(Self::find(&admin, id))?;
        // SAFETY: One that the table has, by the type invariant, and the lock is held.
        Some(unsafe { self.refer(&admin, node) })
    }

    /// The links of the filter with that handle and sequence number, or of what was put in its
    /// place; if both are gone, of the one behind it. O(log n), if it is there.
    fn at_or_behind(
        &self,
        admin: &MutexGuard<'_, Admin>,
        id: u32,
        seq: u64,
    ) -> *mut bindings::list_head {
        let head = self.list.get();
        let now = Self::find(admin, id);
        // SAFETY: The table has all nodes that the IDR and the list show, by the type invariant, and
        // the lock is held.
        unsafe {
            if !now.is_null() && (*(*now).value.place.0.get()).seq == seq {
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
    /// `links` are those of a node that a table has, and its lock is held.
    unsafe fn seq(links: *mut bindings::list_head) -> u64 {
        let node = node_of::<T>(links);
        // SAFETY: By the safety requirements of this function.
        unsafe { (*(*node).value.place.0.get()).seq }
    }

    /// The filter after `at`, or the first. O(1), unless `at` was deleted meanwhile. May sleep.
    pub(super) fn next(&self, at: Option<&FilterRef<'_, T>>) -> Option<FilterRef<'_, T>> {
        let admin = self.admin.lock();
        let head = self.list.get();
        // SAFETY: The head is valid, and so is the node of a reference. The table has all nodes of
        // the list, by the type invariant, and the lock is held.
        unsafe {
            let next = match at.map(|at| (*at.node.as_ptr()).value.place.0.get()) {
                None => (*head).next,
                Some(was) => {
                    let links = self.at_or_behind(&admin, (*was).id, (*was).seq);
                    if links != head && Self::seq(links) == (*was).seq {
                        (*links).next
                    } else {
                        links
                    }
                }
            };
            self.refer_to_links(&admin, next)
        }
    }

    /// What a dump that stops at a filter remembers of it: never 0, where a `long` has 64 bits.
    ///
    /// The handle finds the filter, and the lower bits of its sequence number tell it from another
    /// one that has the handle later. Where there is no room for both, the latter find the filter.
    pub(in crate::abstractions) fn bookmark(&self, at: &FilterRef<'_, T>) -> c_ulong {
        let _admin = self.admin.lock();
        // SAFETY: Valid by the invariant of the reference; the lock is held.
        let (id, seq) = unsafe {
            let admin = (*at.node.as_ptr()).value.place.0.get();
            ((*admin).id, (*admin).seq)
        };
        if c_ulong::BITS == u64::BITS {
            (seq << u32::BITS | u64::from(id)) as c_ulong
        } else {
            seq as c_ulong
        }
    }

    /// The filter at which a dump has stopped, or what was put in its place; if both are gone, the
    /// one behind it. O(log n), if it is there, and a `long` has 64 bits. May sleep.
    pub(in crate::abstractions) fn at_bookmark(
        &self,
        bookmark: c_ulong,
    ) -> Option<FilterRef<'_, T>> {
        let admin = self.admin.lock();
        let (id, low) = if c_ulong::BITS == u64::BITS {
            let bookmark = bookmark as u64;
            (bookmark as u32, (bookmark >> u32::BITS) as u32)
        } else {
            // No filter has the handle 0.
            (0, bookmark as u32)
        };
        // Not later than the last one, and not by as much as would show in the upper bits.
        let last = admin.seq.get();
        let seq = last.wrapping_sub(u64::from((last as u32).wrapping_sub(low)));
        let links = self.at_or_behind(&admin, id, seq);
        // SAFETY: The head, or those of a node that the table has; the lock is held.
        unsafe { self.refer_to_links(&admin, links) }
    }

    /// The filter that has `index` others in front of it. O(n). May sleep.
    pub(crate) fn nth(&self, index: usize) -> Option<FilterRef<'_, T>> {
        let admin = self.admin.lock();
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
            self.refer_to_links(&admin, links)
        }
    }

    /// Calls `f` for each filter, newest first, until it fails. The table may change meanwhile.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&FilterRef<'_, T>) -> Result) -> Result {
        let mut at = self.next(None);
        while let Some(filter) = at {
            f(&filter)?;
            at = self.next(Some(&filter));
        }
        Ok(())
    }

    /// # Safety
    ///
    /// `node` is a valid node that was taken out of list and IDR just now, and that somebody refers
    /// to.
    unsafe fn set_removed(admin: &MutexGuard<'_, Admin>, node: *mut Boxed<T>) {
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
    unsafe fn is_removed(_admin: &MutexGuard<'_, Admin>, node: *mut Boxed<T>) -> bool {
        // SAFETY: Valid by the safety requirements of this function; the lock is held. The links were
        // null before.
        unsafe { !(*Deferred::links(node)).next.is_null() }
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

/// A counted reference to a filter, which others may take out of the table meanwhile.
///
/// # Invariants
///
/// `node` is one of the table's, removed or not, and counts this reference.
pub(crate) struct FilterRef<'a, T: Classifier> {
    node: NonNull<Boxed<T>>,
    table: &'a FilterTable<T>,
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
    pub(super) unsafe fn from_raw(table: &'a FilterTable<T>, raw: *mut c_void) -> Option<Self> {
        // INVARIANT: By the safety requirements of this function.
        NonNull::new(raw.cast()).map(|node| Self { table, node })
    }

    /// The filter that the core shows us, and its handle.
    ///
    /// # Safety
    ///
    /// `raw` is null, or comes from [`Self::into_raw`] or [`Self::as_raw`] of a reference that
    /// lives for `'a`.
    pub(super) unsafe fn borrow(raw: *mut c_void) -> Option<(u32, &'a Filter<T>)> {
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

/// Changes of a table.
impl<'a, T: Classifier> Writer<'_, 'a, T> {
    /// Sets a handle aside. `ENOSPC` if it (or, with [`Handle::Auto`], every one) is taken,
    /// `ENOMEM`. O(log n). May sleep. C: `idr_alloc_u32()`.
    pub(crate) fn reserve(&self, handle: Handle) -> Result<Reservation<'_, 'a, T>> {
        let (mut id, max) = handle.range();
        let admin = self.tp().filters().admin.lock();
        // SAFETY: The IDR is valid, and locked.
        success(unsafe {
            bindings::idr_alloc_u32(
                admin.ids.get(),
                ptr::null_mut(),
                &mut id,
                max,
                bindings::GFP_KERNEL,
            )
        })?;
        Ok(Reservation {
            tp: self.tp(),
            writer: self,
            id,
        })
    }

    /// As [`Self::reserve`] and [`Reservation::publish`] in one, for a filter that no device has to be
    /// told of in between. An error of `None`: the request must start over.
    pub(crate) fn insert(
        &self,
        handle: Handle,
        entry: Entry<'a, T>,
    ) -> Result<FilterRef<'a, T>, (Option<Error>, Entry<'a, T>)> {
        let (tp, table) = (self.tp(), self.tp().filters());
        if !self.may_bind(&entry) {
            return Err((None, entry));
        }
        self.bind(&entry, entry.base);
        let (base, (mut id, max)) = (entry.base, handle.range());
        let node = entry.into_node();
        let admin = table.admin.lock();
        // SAFETY: The IDR is valid, and locked: nobody sees what it has before the lock is given back.
        let allocated = success(unsafe {
            bindings::idr_alloc_u32(
                admin.ids.get(),
                node.as_ptr().cast(),
                &mut id,
                max,
                bindings::GFP_KERNEL,
            )
        });
        let failure = match allocated {
            Err(error) => Some(error),
            Ok(()) => match tp.open() {
                // SAFETY: In the IDR by the above.
                Some(_open) => return Ok(unsafe { table.link(&admin, node, id) }),
                None => {
                    // SAFETY: The IDR is valid and locked, and the id was allocated by the above.
                    unsafe { bindings::idr_remove(admin.ids.get(), id as c_ulong) };
                    None
                }
            },
        };
        drop(admin);
        // SAFETY: Taken out of its box above, and the IDR does not have it (any more).
        let entry = unsafe { Entry::from_node(node, base) };
        self.unbind(&entry);
        Err((failure, entry))
    }

    /// Puts a filter in the place of `old`, for readers in one step, and has it bound to its class
    /// in place of the other. The old one is freed when nobody uses it. O(log n). May sleep.
    ///
    /// Gives the filter back if `old` is not in the table (any more), if the instance is being
    /// deleted, or if a class is concerned, but RTNL is not held: the request must start over.
    pub(crate) fn replace(
        &self,
        old: &FilterRef<'_, T>,
        entry: Entry<'a, T>,
    ) -> Result<FilterRef<'a, T>, Entry<'a, T>> {
        let (tp, table) = (self.tp(), self.tp().filters());
        if !ptr::eq(old.table, table) || !self.may_bind(old) || !self.may_bind(&entry) {
            return Err(entry);
        }
        self.bind(&entry, entry.base);
        let new = {
            let old = old.node.as_ptr();
            let admin = table.admin.lock();
            // SAFETY: Valid by the invariant of the reference; the lock is held.
            let (id, seq, removed) = unsafe {
                let was = (*old).value.place.0.get();
                ((*was).id, (*was).seq, FilterTable::is_removed(&admin, old))
            };
            let Some(_open) = (!removed).then(|| tp.open()).flatten() else {
                drop(admin);
                self.unbind(&entry);
                return Err(entry);
            };
            let node = entry.into_node();
            let new = node.as_ptr();
            // SAFETY: The table has the old node, by the above, and the new one was made just now;
            // the lock is held. Replacing the pointer of an id that is there allocates nothing and
            // cannot fail. New readers do not find the old node any more, by either way.
            unsafe {
                FilterTable::place(new, id, seq);
                bindings::idr_replace(admin.ids.get(), new.cast(), id as c_ulong);
                bindings::list_replace_rcu((*old).value.links.get(), (*new).value.links.get());
                FilterTable::set_removed(&admin, old);
                table.refer(&admin, node)
            }
        };
        self.unbind(old);
        Ok(new)
    }

    /// Takes a filter out, and has it unbound from its class. It is freed when nobody uses it.
    /// Returns whether it was there; not, if it has a class, but RTNL is not held. O(log n). May
    /// sleep.
    pub(crate) fn remove(&self, filter: &FilterRef<'_, T>) -> bool {
        let table = self.tp().filters();
        if !ptr::eq(filter.table, table) || !self.may_bind(filter) {
            return false;
        }
        {
            let node = filter.node.as_ptr();
            let admin = table.admin.lock();
            // SAFETY: Valid by the invariant of the reference; the lock is held.
            unsafe {
                if FilterTable::is_removed(&admin, node) {
                    return false;
                }
                let id = (*(*node).value.place.0.get()).id;
                bindings::idr_remove(admin.ids.get(), id as c_ulong);
                bindings::list_del_rcu((*node).value.links.get());
                FilterTable::set_removed(&admin, node);
            }
        }
        self.unbind(filter);
        true
    }
}

/// A handle that is set aside. Its drop gives the handle back.
pub(crate) struct Reservation<'w, 'a, T: Classifier> {
    tp: TcfProto<'a, T>,
    writer: &'w Writer<'w, 'a, T>,
    id: u32,
}

impl<'a, T: Classifier> Reservation<'_, 'a, T> {
    /// Puts a filter under the handle, and in front of all others, and has it bound to its class.
    /// May sleep.
    ///
    /// Gives the filter back if the instance is being deleted, or if it has a class, but RTNL is not
    /// held: the request must start over.
    pub(crate) fn publish(self, entry: Entry<'a, T>) -> Result<FilterRef<'a, T>, Entry<'a, T>> {
        let (tp, table, writer) = (self.tp, self.tp.filters(), self.writer);
        if !writer.may_bind(&entry) {
            return Err(entry);
        }
        writer.bind(&entry, entry.base);
        let admin = table.admin.lock();
        let Some(_open) = tp.open() else {
            drop(admin);
            writer.unbind(&entry);
            return Err(entry);
        };
        // What is reserved is used now.
        let id = ManuallyDrop::new(self).id;
        let node = entry.into_node();
        // SAFETY: The table is valid and locked. The id was allocated by `reserve`, so this allocates
        // nothing and cannot fail, and then the IDR has the node.
        unsafe {
            bindings::idr_replace(admin.ids.get(), node.as_ptr().cast(), id as c_ulong);
            Ok(table.link(&admin, node, id))
        }
    }
}

impl<T: Classifier> Drop for Reservation<'_, '_, T> {
    fn drop(&mut self) {
        let admin = self.tp.filters().admin.lock();
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
pub(crate) struct Iter<'a, T: Classifier> {
    head: *mut bindings::list_head,
    at: *mut bindings::list_head,
    _filters: PhantomData<&'a Filter<T>>,
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
