// SPDX-License-Identifier: GPL-2.0-only

//! Memory that is freed by the tc workqueue, after an RCU grace period.
//!
//! C header: [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

use crate::abstractions::bindings;
use core::mem::offset_of;
use kernel::{
    prelude::*,
    ptr::project,
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

/// A value that the tc workqueue frees after a grace period.
///
/// So a reference to `value` that was obtained under RCU is valid until the end of the read side.
/// The core flushes the workqueue before it unregisters a classifier, so the module is still loaded
/// when a value is freed.
#[pin_data]
#[repr(C)]
pub(super) struct RcuWorkBox<T> {
    #[pin]
    pub(super) value: T,
    /// Until the value is queued, its owner may use this memory as list links.
    work: Opaque<bindings::rcu_work>,
}

impl<T> RcuWorkBox<T> {
    /// The offset of the list links.
    pub(super) const LINKS: usize = {
        assert!(size_of::<bindings::list_head>() <= size_of::<bindings::rcu_work>());
        offset_of!(Self, work)
    };

    /// Returns the list links, which are not initialised at first.
    pub(super) fn links(this: *mut Self) -> *mut bindings::list_head {
        this.wrapping_byte_add(Self::LINKS).cast()
    }
}

impl<T: Send> RcuWorkBox<T> {
    /// Allocates a value that `init` initialises.
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

    /// Frees a value after a grace period. C: `tcf_queue_work()`.
    ///
    /// # Safety
    ///
    /// `this` was taken out of such a box, by [`KBox::into_raw`] or [`ForeignOwnable::into_foreign`],
    /// is not queued yet, only the packet path still uses it, and new readers cannot find it.
    pub(super) unsafe fn queue(this: *mut Self) {
        let work = Opaque::cast_into(project!(this, .work));
        // SAFETY: Valid by the safety requirements of this function. `tcf_queue_work()` initialises
        // the work.
        unsafe { bindings::tcf_queue_work(work, Some(Self::free)) };
    }

    /// # Safety
    ///
    /// Called by the workqueue with the work that [`Self::queue`] queued.
    unsafe extern "C" fn free(work: *mut bindings::work_struct) {
        let this = work
            .wrapping_byte_sub(offset_of!(bindings::rcu_work, work))
            .wrapping_byte_sub(offset_of!(Self, work))
            .cast::<Self>();
        // SAFETY: `queue` got the pointer from a box, and only the packet path still used the value
        // then. A grace period has passed since.
        drop(unsafe { Pin::<KBox<Self>>::from_foreign(this.cast()) });
    }
}
