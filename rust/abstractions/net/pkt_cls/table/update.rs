// SPDX-License-Identifier: GPL-2.0-only

//! Changes of a table.

use super::{
    filter_ref::FilterRef,
    node::{
        links_of,
        NewFilter, //
    },
    FilterTable, //
};
use crate::abstractions::{
    bindings,
    net::pkt_cls::{
        proto::{
            TcfProto,
            Writer, //
        },
        Classifier, //
    },
    success, //
};
use core::{
    mem::ManuallyDrop,
    ptr, //
};
use kernel::prelude::*;

/// The handle to allocate for a new filter.
#[derive(Clone, Copy)]
pub(crate) enum Handle {
    /// The lowest free one, from 1 to `i32::MAX`.
    Auto,
    /// Exactly this one.
    Exact(u32),
}

impl Handle {
    /// Returns the lowest and the highest acceptable handle.
    fn range(self) -> (u32, c_ulong) {
        match self {
            Self::Auto => (1, i32::MAX as c_ulong),
            Self::Exact(id) => (id, id as c_ulong),
        }
    }
}

/// Changes of a table.
impl<'a, T: Classifier> Writer<'_, 'a, T> {
    /// Reserves a handle. Fails with `ENOSPC` if it is in use (with [`Handle::Auto`], if all are),
    /// or with `ENOMEM`. O(log n). May sleep. C: `idr_alloc_u32()`.
    pub(crate) fn reserve(&self, handle: Handle) -> Result<HandleReservation<'_, 'a, T>> {
        let (mut id, max) = handle.range();
        let inner = self.tp().filters().inner.lock();
        // SAFETY: The IDR is valid, and locked.
        success(unsafe {
            bindings::idr_alloc_u32(
                inner.ids.get(),
                ptr::null_mut(),
                &mut id,
                max,
                bindings::GFP_KERNEL,
            )
        })?;
        Ok(HandleReservation {
            tp: self.tp(),
            writer: self,
            id,
        })
    }

    /// Does [`Self::reserve`] and [`HandleReservation::publish`] in one step, for a filter that no
    /// device has to be told about in between.
    ///
    /// On failure returns the filter, and the error, which is `None` if the request must be
    /// retried.
    pub(crate) fn insert(
        &self,
        handle: Handle,
        entry: NewFilter<'a, T>,
    ) -> Result<FilterRef<'a, T>, (Option<Error>, NewFilter<'a, T>)> {
        let (tp, table) = (self.tp(), self.tp().filters());
        if !self.may_bind(&entry) {
            return Err((None, entry));
        }
        self.bind(&entry, entry.base);
        let (base, (mut id, max)) = (entry.base, handle.range());
        let node = entry.into_node();
        let inner = table.inner.lock();
        // SAFETY: The IDR is valid, and locked: nobody sees the new entry before the lock is
        // released.
        let allocated = success(unsafe {
            bindings::idr_alloc_u32(
                inner.ids.get(),
                node.as_ptr().cast(),
                &mut id,
                max,
                bindings::GFP_KERNEL,
            )
        });
        let failure = match allocated {
            Err(error) => Some(error),
            Ok(()) => match tp.open() {
                // SAFETY: `idr_alloc_u32()` stored the node in the IDR.
                Some(_open) => return Ok(unsafe { table.link(&inner, node, id) }),
                None => {
                    // SAFETY: The IDR is valid and locked, and the id was allocated above.
                    unsafe { bindings::idr_remove(inner.ids.get(), id as c_ulong) };
                    None
                }
            },
        };
        drop(inner);
        // SAFETY: The node was taken out of its box above, and is not in the IDR (any more).
        let entry = unsafe { NewFilter::from_node(node, base) };
        self.unbind(&entry);
        Err((failure, entry))
    }

    /// Replaces `old` by a new filter, which readers see as a single step. Unbinds the old filter
    /// from its class, and binds the new one. The old filter is freed when nobody uses it any more.
    /// O(log n). May sleep.
    ///
    /// Returns the new filter as an error if `old` is not in the table (any more), if the tcf_proto
    /// is being deleted, or if one of the filters has a class, but RTNL is not held. The request
    /// must then be retried.
    pub(crate) fn replace(
        &self,
        old: &FilterRef<'_, T>,
        entry: NewFilter<'a, T>,
    ) -> Result<FilterRef<'a, T>, NewFilter<'a, T>> {
        let (tp, table) = (self.tp(), self.tp().filters());
        if !ptr::eq(old.table, table) || !self.may_bind(old) || !self.may_bind(&entry) {
            return Err(entry);
        }
        self.bind(&entry, entry.base);
        let new = {
            let (id, seq) = (old.handle(), old.seq());
            let old = old.node.as_ptr();
            let inner = table.inner.lock();
            // SAFETY: Valid by the invariant of the reference.
            let removed = unsafe { FilterTable::is_removed(&inner, old) };
            let Some(_open) = (!removed).then(|| tp.open()).flatten() else {
                drop(inner);
                self.unbind(&entry);
                return Err(entry);
            };
            let node = entry.into_node();
            let new = node.as_ptr();
            // SAFETY: Nobody else has the new node, which was created above.
            unsafe { FilterTable::set_link(new, id, seq) };
            // SAFETY: The IDR is valid and locked. It has the id of the old node, which is in the
            // table, so this allocates nothing and cannot fail.
            unsafe { bindings::idr_replace(inner.ids.get(), new.cast(), id as c_ulong) };
            // SAFETY: The list is locked, and has the old node. The new one is in no list.
            unsafe { bindings::list_replace_rcu(links_of(old), links_of(new)) };
            // SAFETY: The old node was removed above. `old` is a reference to it.
            unsafe { FilterTable::set_removed(&inner, old) };
            // SAFETY: The table has the new node.
            unsafe { table.get_ref(&inner, node) }
        };
        self.unbind(old);
        Ok(new)
    }

    /// Removes a filter, and unbinds it from its class. It is freed when nobody uses it any more.
    /// Returns `false` if it is not in the table, or if it has a class, but RTNL is not held.
    /// O(log n). May sleep.
    pub(crate) fn remove(&self, filter: &FilterRef<'_, T>) -> bool {
        let table = self.tp().filters();
        if !ptr::eq(filter.table, table) || !self.may_bind(filter) {
            return false;
        }
        {
            let node = filter.node.as_ptr();
            let inner = table.inner.lock();
            // SAFETY: Valid by the invariant of the reference.
            if unsafe { FilterTable::is_removed(&inner, node) } {
                return false;
            }
            // SAFETY: The IDR is valid and locked.
            unsafe { bindings::idr_remove(inner.ids.get(), filter.handle() as c_ulong) };
            // SAFETY: The list is locked, and has the node, which is not removed.
            unsafe { bindings::list_del_rcu(links_of(node)) };
            // SAFETY: The node was removed above. `filter` is a reference to it.
            unsafe { FilterTable::set_removed(&inner, node) };
        }
        self.unbind(filter);
        true
    }
}

/// A reserved handle. Its drop releases the handle.
pub(crate) struct HandleReservation<'w, 'a, T: Classifier> {
    tp: TcfProto<'a, T>,
    writer: &'w Writer<'w, 'a, T>,
    id: u32,
}

impl<'a, T: Classifier> HandleReservation<'_, 'a, T> {
    /// Adds a filter with the handle, before all others, and binds it to its class. May sleep.
    ///
    /// Returns the filter as an error if the tcf_proto is being deleted, or if the filter has a
    /// class, but RTNL is not held. The request must then be retried.
    pub(crate) fn publish(
        self,
        entry: NewFilter<'a, T>,
    ) -> Result<FilterRef<'a, T>, NewFilter<'a, T>> {
        let (tp, table, writer) = (self.tp, self.tp.filters(), self.writer);
        if !writer.may_bind(&entry) {
            return Err(entry);
        }
        writer.bind(&entry, entry.base);
        let inner = table.inner.lock();
        let Some(_open) = tp.open() else {
            drop(inner);
            writer.unbind(&entry);
            return Err(entry);
        };
        // The handle is in use from here on, so the reservation is not dropped.
        let id = ManuallyDrop::new(self).id;
        let node = entry.into_node();
        // SAFETY: The IDR is valid and locked. `reserve` allocated the id, so this allocates
        // nothing and cannot fail.
        unsafe { bindings::idr_replace(inner.ids.get(), node.as_ptr().cast(), id as c_ulong) };
        // SAFETY: The lock is that of the table, and the IDR contains the node.
        Ok(unsafe { table.link(&inner, node, id) })
    }
}

impl<T: Classifier> Drop for HandleReservation<'_, '_, T> {
    fn drop(&mut self) {
        let inner = self.tp.filters().inner.lock();
        // SAFETY: The IDR is valid and locked, and the value owns the id.
        unsafe { bindings::idr_remove(inner.ids.get(), self.id as c_ulong) };
    }
}
