// SPDX-License-Identifier: GPL-2.0-only

//! Changes of a table.

use super::{
    entry::Entry,
    filter_ref::FilterRef,
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
