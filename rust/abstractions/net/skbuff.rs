// SPDX-License-Identifier: GPL-2.0-only

//! Packets.
//!
//! [`SkBuff`] is a packet that somebody lends, [`Skb`] is one that we own. There is no third way to
//! hold one: to leak a packet or to free it twice does not compile.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use crate::abstractions::bindings;
use core::{
    mem::ManuallyDrop,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Why a packet is freed, as `dropwatch` and the `skb:kfree_skb` tracepoint show it.
#[derive(Clone, Copy)]
pub(crate) struct DropReason(bindings::skb_drop_reason);

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident = $value:ident;)*) => {
        impl DropReason {
            $(
                $(#[$doc])*
                pub(crate) const $name: Self = Self(bindings::$value);
            )*
        }
    };
}

drop_reasons! {
    /// None of the others.
    NOT_SPECIFIED = skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED;
    /// The protocol is not the one that it has to be.
    INVALID_PROTO = skb_drop_reason_SKB_DROP_REASON_INVALID_PROTO;
    /// No memory.
    NOMEM = skb_drop_reason_SKB_DROP_REASON_NOMEM;
}

/// A packet, borrowed.
#[repr(transparent)]
pub(crate) struct SkBuff(Opaque<bindings::sk_buff>);

impl SkBuff {
    /// # Safety
    ///
    /// `skb` is valid, and nobody else touches its fields during `'a`.
    #[inline(always)]
    pub(super) unsafe fn from_raw_mut<'a>(skb: *mut bindings::sk_buff) -> &'a mut Self {
        // SAFETY: The type is transparent; the rest by the safety requirements of this function.
        unsafe { &mut *skb.cast() }
    }

    /// The C view of the packet.
    #[inline(always)]
    pub(in crate::abstractions) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.0.get()
    }

    /// The protocol of the packet (`ETH_P_*`), in network byte order.
    #[inline(always)]
    pub(crate) fn protocol_be(&self) -> u16 {
        // SAFETY: The packet is valid; both views of the union have the field at the same place.
        unsafe { (*self.as_ptr()).__bindgen_anon_4.headers.as_ref().protocol }
    }

    /// The free bytes in front of the data. C: `skb_headroom()`.
    #[inline(always)]
    pub(crate) fn headroom(&self) -> u32 {
        // SAFETY: The packet is valid.
        unsafe { bindings::skb_headroom(self.as_ptr()) }
    }

    /// Makes `bytes` more room in front of the data, by a reallocation. The packet is unchanged on
    /// error (`ENOMEM`). Does not sleep. C: `pskb_expand_head()`.
    pub(crate) fn expand_headroom(&mut self, bytes: u32) -> Result {
        let bytes = c_int::try_from(bytes).map_err(|_| ENOMEM)?;
        // SAFETY: The packet is valid, and `&mut` says that no pointer into it is kept.
        to_result(unsafe {
            bindings::pskb_expand_head(self.as_ptr(), bytes, 0, bindings::GFP_ATOMIC)
        })
    }
}

/// A packet that we own. Its drop frees it.
///
/// # Invariants
///
/// The pointer is to a valid `sk_buff`, and one of its references is ours.
pub(crate) struct Skb(NonNull<bindings::sk_buff>);

impl Skb {
    /// Takes a packet over.
    ///
    /// # Safety
    ///
    /// `skb` is valid, and the caller gives away its reference.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: By the safety requirements of this function.
        // SAFETY: A valid packet is not at address 0.
        Self(unsafe { NonNull::new_unchecked(skb) })
    }

    /// Gives the packet away: the one who gets the pointer owns it.
    #[inline(always)]
    pub(in crate::abstractions) fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// Frees the packet, and says why. C: `kfree_skb_reason()`. Any context but hard interrupts.
    #[inline(always)]
    pub(crate) fn free(self, reason: DropReason) {
        // SAFETY: The reference was ours by the type invariant, and `self` is gone.
        unsafe { bindings::kfree_skb_reason(self.into_raw(), reason.0) };
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
        // SAFETY: The packet is valid by the type invariant, and `&mut` says that nobody else of
        // ours looks at it. Hooks own what they are given; a shared packet shares its data only.
        unsafe { SkBuff::from_raw_mut(self.0.as_ptr()) }
    }
}

impl Drop for Skb {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: One reference is ours by the type invariant, and this is its end.
        unsafe { bindings::kfree_skb_reason(self.0.as_ptr(), DropReason::NOT_SPECIFIED.0) };
    }
}
