// SPDX-License-Identifier: GPL-2.0-only

//! The table as the `root` of a tcf_proto.

use super::FilterTable;
use crate::abstractions::{
    bindings,
    net::pkt_cls::{
        rcu_work::RcuWorkBox,
        Classifier, //
    },
    sync::rcu, //
};
use core::ptr;
use kernel::{
    prelude::*,
    ptr::project,
    types::ForeignOwnable, //
};

/// What the tcf_proto owns.
type Root<T> = Pin<KBox<RcuWorkBox<FilterTable<T>>>>;

impl<T: Classifier> FilterTable<T> {
    /// Stores an empty table in a tcf_proto.
    ///
    /// # Safety
    ///
    /// `tp` is valid and of this classifier, and nobody else has access to it yet.
    pub(in crate::abstractions::net::pkt_cls) unsafe fn store(
        tp: *mut bindings::tcf_proto,
    ) -> Result {
        let root: Root<T> = RcuWorkBox::new(Self::new())?;
        let place = project!(mut tp, .root);
        // SAFETY: `tp` is valid by the safety requirements of this function.
        unsafe { bindings::rcu_assign_pointer(place, root.into_foreign()) };
        Ok(())
    }

    /// Returns the table of a tcf_proto.
    ///
    /// # Safety
    ///
    /// `tp` is valid and of this classifier, and [`Self::store`] has stored its table. For `'a` the
    /// caller keeps [`Self::queue`] from being called, or is in the RCU read-side critical section
    /// in which it found `tp`.
    #[inline(always)]
    pub(in crate::abstractions::net::pkt_cls) unsafe fn of<'a>(
        tp: *const bindings::tcf_proto,
    ) -> &'a Self {
        // SAFETY: By the safety requirements of this function.
        &unsafe { Self::root(tp) }.value
    }

    /// Returns the memory of the table of a tcf_proto.
    ///
    /// # Safety
    ///
    /// As for [`Self::of`].
    #[inline(always)]
    unsafe fn root<'a>(tp: *const bindings::tcf_proto) -> &'a RcuWorkBox<Self> {
        let place = project!(tp, .root);
        // SAFETY: `tp` is valid by the safety requirements of this function. `store` published the
        // table.
        let root = unsafe { rcu::dereference(place) };
        // SAFETY: By the safety requirements of this function. The table is taken back after a
        // grace period.
        unsafe { Root::<T>::borrow(root) }.get_ref()
    }

    /// Frees the table of a tcf_proto after a grace period.
    ///
    /// # Safety
    ///
    /// As for [`Self::of`]. Called once, when only the packet path still uses the table, and new
    /// readers cannot find `tp`.
    pub(in crate::abstractions::net::pkt_cls) unsafe fn queue(tp: *const bindings::tcf_proto) {
        // SAFETY: By the safety requirements of this function.
        let root = unsafe { Self::root(tp) };
        // SAFETY: By the safety requirements of this function. The box was taken apart by `store`,
        // and its address is that of the value.
        unsafe { RcuWorkBox::queue(ptr::from_ref(root).cast_mut()) };
    }
}
