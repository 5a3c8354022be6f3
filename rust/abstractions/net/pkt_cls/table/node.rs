// SPDX-License-Identifier: GPL-2.0-only

//! Filters before they are published, and their state in a table.

use crate::abstractions::{
    bindings,
    compat::ENOBUFS,
    net::pkt_cls::{
        filter::{
            Filter,
            FilterInit, //
        },
        rcu_work::RcuWorkBox,
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
    ptr::project,
    sync::Refcount,
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

/// The state of a filter in its table. The lock of the table protects it, except for the refcount,
/// which is atomic, and before the filter is in the table.
pub(in crate::abstractions::net::pkt_cls) struct TableLink(pub(super) UnsafeCell<TableLinkInner>);

pub(super) struct TableLinkInner {
    pub(super) id: u32,
    /// Newer filters have higher numbers. A replacement has the number of the filter that it
    /// replaces.
    pub(super) seq: u64,
    /// One for the table while the filter is in it, and one for each
    /// [`FilterRef`](super::FilterRef).
    pub(super) refs: Refcount,
}

// SAFETY: It belongs to the table, whose lock protects it. The refcount is atomic.
unsafe impl Send for TableLink {}

// SAFETY: Only the holder of the table's lock accesses it, except for the refcount, which is
// atomic, and the numbers, which do not change once the filter is in the table.
unsafe impl Sync for TableLink {}

impl TableLink {
    /// Creates the state of a filter that is in no table yet.
    pub(in crate::abstractions::net::pkt_cls) fn new() -> Self {
        Self(UnsafeCell::new(TableLinkInner {
            id: 0,
            seq: 0,
            refs: Refcount::new(1),
        }))
    }
}

pub(super) type FilterNode<T> = RcuWorkBox<Filter<T>>;

/// Returns the links of a node in the list.
pub(super) fn links_of<T: Classifier>(node: *mut FilterNode<T>) -> *mut bindings::list_head {
    Opaque::cast_into(project!(node, .value.links))
}

/// Returns the state of a node in its table.
pub(super) fn link_of<T: Classifier>(node: *mut FilterNode<T>) -> *mut TableLinkInner {
    UnsafeCell::raw_get(project!(node, .value.link.0))
}

/// Returns the node of a filter from its links in the list.
pub(super) fn node_of<T: Classifier>(links: *mut bindings::list_head) -> *mut FilterNode<T> {
    links
        .wrapping_byte_sub(offset_of!(Filter<T>, links))
        .wrapping_byte_sub(offset_of!(FilterNode<T>, value))
        .cast()
}

/// A filter that is not published yet. It is allocated first, so that later steps cannot fail. It
/// lives no longer than the request, `'a`, for which it is created.
pub(crate) struct NewFilter<'a, T: Classifier> {
    node: Pin<KBox<FilterNode<T>>>,
    /// The class of the qdisc that the filter is attached to.
    pub(super) base: c_ulong,
    _request: PhantomData<&'a ()>,
}

impl<'a, T: Classifier> NewFilter<'a, T> {
    /// Allocates a filter. Fails with `ENOBUFS`. Process context.
    pub(crate) fn new(change: &Change<'a, T>, parts: FilterInit<'a, T>) -> Result<Self> {
        Self::with_base(change.base, parts)
    }

    /// Allocates a filter as [`Self::new`] does, for the class of the qdisc that it is attached to.
    #[inline(always)]
    pub(in crate::abstractions) fn with_base(
        base: c_ulong,
        parts: FilterInit<'a, T>,
    ) -> Result<Self> {
        let mut node =
            KBox::<FilterNode<T>>::new_uninit(GFP_KERNEL_ACCOUNT).map_err(|_| ENOBUFS)?;
        let at = node.as_mut_ptr();
        let value = project!(mut at, .value);
        // SAFETY: The memory is ours. The value and its actions are dropped within `'a`, or the
        // value is published. Then `FilterTable::detach` or `FilterTable::put_last` makes the
        // actions hold their namespace before the tcf_proto is freed, which the namespace outlives.
        unsafe { Filter::write(value, parts) };
        // SAFETY: The memory is ours.
        unsafe { (*RcuWorkBox::links(at)).next = ptr::null_mut() };
        // SAFETY: Of the other fields of a node only the links must be initialised.
        let node = unsafe { node.assume_init() };
        Ok(Self {
            node: KBox::into_pin(node),
            base,
            _request: PhantomData,
        })
    }

    /// Takes the node out of its box, for the table. The node does not move until the table frees
    /// it.
    pub(super) fn into_node(self) -> NonNull<FilterNode<T>> {
        // SAFETY: The node is not at address 0, because it comes from a box.
        unsafe { NonNull::new_unchecked(self.node.into_foreign().cast()) }
    }

    /// Reverts [`Self::into_node`].
    ///
    /// # Safety
    ///
    /// `node` comes from [`Self::into_node`], for a request of `'a`, and nobody else has it.
    pub(super) unsafe fn from_node(node: NonNull<FilterNode<T>>, base: c_ulong) -> Self {
        Self {
            // SAFETY: By the safety requirements of this function.
            node: unsafe { Pin::<KBox<_>>::from_foreign(node.as_ptr().cast()) },
            base,
            _request: PhantomData,
        }
    }
}

impl<T: Classifier> Deref for NewFilter<'_, T> {
    type Target = Filter<T>;

    fn deref(&self) -> &Filter<T> {
        &self.node.value
    }
}
