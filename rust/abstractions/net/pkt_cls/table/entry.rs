// SPDX-License-Identifier: GPL-2.0-only

//! A filter, and its place in a table.

use crate::abstractions::{
    bindings,
    compat::ENOBUFS,
    net::pkt_cls::{
        deferred::Deferred,
        filter::{
            Filter,
            Parts, //
        },
        Change,
        Classifier, //
    }, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::offset_of,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Refcount, //
};

/// A filter's place in its table. Protected by the lock of the table, but for the count, which is
/// atomic, and before the filter is in there.
pub(in crate::abstractions::net::pkt_cls) struct Place(pub(super) UnsafeCell<PlaceAdmin>);

pub(super) struct PlaceAdmin {
    pub(super) id: u32,
    /// The higher, the newer. What is put in another's place has its number.
    pub(super) seq: u64,
    /// One for the table, while the filter is in it, and one for each [`FilterRef`].
    pub(super) refs: Refcount,
}

// SAFETY: It belongs to the table, whose lock sees to who changes it; the count is atomic.
unsafe impl Send for Place {}

// SAFETY: Whoever has the lock of the table has it alone, but for the count, which is atomic, and the
// id, which does not change once the filter is in the table.
unsafe impl Sync for Place {}

impl Place {
    /// In no table yet.
    pub(in crate::abstractions::net::pkt_cls) fn none() -> Self {
        Self(UnsafeCell::new(PlaceAdmin {
            id: 0,
            seq: 0,
            refs: Refcount::new(1),
        }))
    }
}

pub(super) type Boxed<T> = Deferred<Filter<T>>;

/// The node of a filter, from where it is linked in the list.
pub(super) fn node_of<T: Classifier>(links: *mut bindings::list_head) -> *mut Boxed<T> {
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
    pub(super) base: c_ulong,
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
    pub(super) fn into_node(self) -> NonNull<Boxed<T>> {
        // SAFETY: It is not moved, and not at address 0, for it comes out of a box.
        unsafe { NonNull::new_unchecked(KBox::into_raw(Pin::into_inner_unchecked(self.node))) }
    }

    /// Undoes [`Self::into_node`].
    ///
    /// # Safety
    ///
    /// `node` comes from there, of a request of `'a`, and nobody else has it.
    pub(super) unsafe fn from_node(node: NonNull<Boxed<T>>, base: c_ulong) -> Self {
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
