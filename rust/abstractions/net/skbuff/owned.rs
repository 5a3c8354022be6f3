// SPDX-License-Identifier: GPL-2.0-only

//! Packets that we own.

use super::{
    DropReason,
    SkBuff, //
};
use crate::abstractions::bindings;
use core::{
    mem::ManuallyDrop,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::{
        self,
        NonNull, //
    }, //
};

/// An owned packet, which is freed when it is dropped.
///
/// # Invariants
///
/// The pointer is to a valid `sk_buff`, and the value owns one reference to it.
pub(crate) struct Skb(NonNull<bindings::sk_buff>);

impl Skb {
    /// Takes over a packet.
    ///
    /// # Safety
    ///
    /// `skb` is valid, and the caller passes on its reference.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: By the safety requirements of this function.
        // SAFETY: A valid pointer is not null.
        Self(unsafe { NonNull::new_unchecked(skb) })
    }

    /// Passes the reference on to the caller, as a raw pointer.
    #[inline(always)]
    pub(in crate::abstractions) fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// Drops the packet with a reason. Any context but hard interrupts. C: `kfree_skb_reason()`.
    #[inline(always)]
    pub(crate) fn free(self, reason: DropReason) {
        // SAFETY: The value owned a reference by the type invariant, and `self` is consumed.
        unsafe { bindings::sk_skb_reason_drop(ptr::null_mut(), self.into_raw(), reason.as_raw()) };
    }
}

impl Deref for Skb {
    type Target = SkBuff;

    #[inline(always)]
    fn deref(&self) -> &SkBuff {
        // SAFETY: The packet is valid by the type invariant.
        unsafe { &*self.0.as_ptr().cast() }
    }
}

impl DerefMut for Skb {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut SkBuff {
        // SAFETY: The packet is valid by the type invariant. By `&mut self`, no other code of this
        // module accesses it. Hooks own the packets that they are called with: of a clone only the
        // data is shared.
        unsafe { SkBuff::from_raw_mut(self.0.as_ptr()) }
    }
}

impl Drop for Skb {
    #[inline]
    fn drop(&mut self) {
        let (skb, reason) = (self.0.as_ptr(), DropReason::NOT_SPECIFIED);
        // SAFETY: The value owns a reference by the type invariant, and does not use it after this.
        unsafe { bindings::sk_skb_reason_drop(ptr::null_mut(), skb, reason.as_raw()) };
    }
}
