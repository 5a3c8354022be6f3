// SPDX-License-Identifier: GPL-2.0-only

//! Memory that is freed by the tc workqueue, after an RCU grace period.
//!
//! C header: [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

use crate::abstractions::bindings;
use core::mem::offset_of;
use kernel::{
    prelude::*,
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
    pub(super) const LINKS: usize = {
        assert!(size_of::<bindings::list_head>() <= size_of::<bindings::rcu_work>());
        offset_of!(Self, work)
    };

    /// The links, which nothing is known of at first.
    pub(super) fn links(this: *mut Self) -> *mut bindings::list_head {
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
