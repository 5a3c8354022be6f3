// SPDX-License-Identifier: GPL-2.0-only

//! Packets.
//!
//! [`SkBuff`] is a borrowed packet, [`Skb`] one that we own. There is no third way to hold one: to leak
//! a packet or to free it twice does not compile.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

mod drop_reason;
mod gso;

pub(crate) use drop_reason::DropReason;
pub(crate) use gso::{
    Gso,
    GsoTypes, //
};

use crate::abstractions::{
    bindings,
    success, //
};
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
use kernel::{
    prelude::*,
    transmute::FromBytes,
    types::Opaque, //
};

/// The part of a packet that copies of it share, in C the group `headers` of `struct sk_buff`.
pub(in crate::abstractions) type SkbHeaders = bindings::sk_buff__bindgen_ty_4__bindgen_ty_2;

/// Where a packet's buffer ends. C: `skb_end_pointer()`.
///
/// # Safety
///
/// `skb` is valid.
#[inline(always)]
pub(in crate::abstractions) unsafe fn end_pointer(skb: *const bindings::sk_buff) -> *mut u8 {
    // SAFETY: By the safety requirements of this function.
    let (head, end) = unsafe { ((*skb).head, (*skb).end) };
    // It is counted from the beginning where that is shorter than a pointer.
    #[cfg(CONFIG_64BIT)]
    return head.wrapping_add(end as usize);
    #[cfg(not(CONFIG_64BIT))]
    return end;
}

/// What a packet's buffer ends in, which its copies share. C: `skb_shinfo()`.
///
/// # Safety
///
/// `skb` is valid.
#[inline(always)]
pub(in crate::abstractions) unsafe fn shared_info(
    skb: *const bindings::sk_buff,
) -> *mut bindings::skb_shared_info {
    // SAFETY: By the safety requirements of this function.
    unsafe { end_pointer(skb) }.cast()
}

/// A packet, borrowed.
#[repr(transparent)]
pub(crate) struct SkBuff(Opaque<bindings::sk_buff>);

impl SkBuff {
    /// # Safety
    ///
    /// `skb` is valid, and nobody else touches its fields during `'a`.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw_mut<'a>(
        skb: *mut bindings::sk_buff,
    ) -> &'a mut Self {
        // SAFETY: The type is transparent; the rest by the safety requirements of this function.
        unsafe { &mut *skb.cast() }
    }

    /// The C view of the packet.
    #[inline(always)]
    pub(in crate::abstractions) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.0.get()
    }

    /// What copies of the packet share: where its headers are, among others.
    #[inline(always)]
    pub(in crate::abstractions) fn headers_ref(&self) -> &SkbHeaders {
        // SAFETY: The packet is valid and lent to us, and both views of the union have the same
        // layout.
        unsafe { (*self.as_ptr()).__bindgen_anon_4.headers.as_ref() }
    }

    /// As [`Self::headers_ref`], to change it.
    #[inline(always)]
    pub(in crate::abstractions) fn headers_mut(&mut self) -> &mut SkbHeaders {
        // SAFETY: The packet is valid and ours by `&mut`, and both views of the union have the same
        // layout.
        unsafe { (*self.as_ptr()).__bindgen_anon_4.headers.as_mut() }
    }

    /// The protocol of the packet (`ETH_P_*`), in network byte order.
    #[inline(always)]
    pub(crate) fn protocol_be(&self) -> u16 {
        self.headers_ref().protocol
    }

    /// The free bytes in front of the data. C: `skb_headroom()`.
    #[inline(always)]
    pub(crate) fn headroom(&self) -> u32 {
        // SAFETY: The packet is valid; its data lie in its buffer, whose length is a `u32`.
        unsafe { (*self.as_ptr()).data.offset_from((*self.as_ptr()).head) as u32 }
    }

    /// Bytes of data, all parts counted.
    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        // SAFETY: The packet is valid.
        unsafe { (*self.as_ptr()).len }
    }

    /// The mark, which routes and rules look at.
    #[inline(always)]
    pub(crate) fn mark(&self) -> u32 {
        // SAFETY: The packet is valid; both views of the union have the field at the same place.
        unsafe {
            (*self.as_ptr())
                .__bindgen_anon_4
                .headers
                .as_ref()
                .__bindgen_anon_4
                .mark
        }
    }

    /// What the network header begins with, as it lies in memory. `None` if that is not all there,
    /// or lies outside of the linear part. C: `skb_network_header()`.
    #[inline(always)]
    pub(crate) fn network_header<T: FromBytes>(&self) -> Option<T> {
        if !self.has_network_header::<T>() {
            return None;
        }
        let at = usize::from(self.headers_ref().network_header);
        // SAFETY: The packet is valid, and the bytes are linear data by the check. Any bytes are a
        // `T`, wherever they lie.
        Some(unsafe { (*self.as_ptr()).head.add(at).cast::<T>().read_unaligned() })
    }

    /// The bytes between the data and the network header; negative, if that lies in front. C:
    /// `skb_network_offset()`.
    #[inline(always)]
    pub(crate) fn network_offset(&self) -> i32 {
        i32::from(self.headers_ref().network_header).wrapping_sub(self.headroom() as i32)
    }

    /// Whether a `T` at the network header is all in the linear data. C: `skb_network_header()`.
    #[inline(always)]
    pub(crate) fn has_network_header<T>(&self) -> bool {
        let end = self.headlen() as c_int;
        let offset = self.network_offset();
        offset >= 0 && end - offset >= const { size_of::<T>() as c_int }
    }

    /// The device that the packet came in by, or goes out by. May be null.
    #[inline(always)]
    pub(in crate::abstractions::net) fn dev_ptr(&self) -> *mut bindings::net_device {
        // SAFETY: The packet is valid.
        unsafe {
            (*self.as_ptr())
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev
        }
    }

    /// Whether the MAC header was set, and lies in front of the network header.
    #[inline(always)]
    pub(crate) fn has_mac_header(&self) -> bool {
        // A header that is not set is at the highest number.
        let headers = self.headers_ref();
        headers.mac_header < headers.network_header
    }

    /// Says that the MAC header begins where the data does. C: `skb_reset_mac_header()`.
    #[inline(always)]
    pub(crate) fn reset_mac_header(&mut self) {
        self.headers_mut().mac_header = self.headroom() as u16;
    }

    /// Whether tc has the packet on its way in, or had it there last. C: `skb_at_tc_ingress()`.
    #[inline(always)]
    pub(crate) fn at_tc_ingress(&self) -> bool {
        #[cfg(CONFIG_NET_XGRESS)]
        return self.headers_ref().tc_at_ingress() != 0;
        #[cfg(not(CONFIG_NET_XGRESS))]
        return false;
    }

    /// Keeps `CHECKSUM_COMPLETE` valid when the data begin with the MAC header now.
    /// C: `skb_postpush_rcsum()`.
    pub(crate) fn postpush_mac_header(&mut self) {
        let skb = self.as_ptr();
        let len = self.mac_len().min(self.headlen());
        // SAFETY: The packet is valid, and has so many bytes of linear data.
        unsafe { bindings::skb_postpush_rcsum(skb, (*skb).data.cast(), len) };
    }

    /// Takes the MAC header away: the data begin at the network header. Returns whether there is
    /// any data then. C: `__skb_pull()`, `skb_postpull_rcsum()`, `skb_pop_mac_header()`.
    pub(crate) fn strip_mac_header(&mut self) -> bool {
        let skb = self.as_ptr();
        let Ok(len) = u32::try_from(self.network_offset()) else {
            return false;
        };
        if self.len() <= len || self.headlen() < len {
            return false;
        }
        // SAFETY: The packet is valid, ours by `&mut`, and has that many bytes of linear data, which
        // stay where they are.
        unsafe {
            if len != 0 {
                let header = (*skb).data;
                bindings::__skb_pull(skb, len);
                // On its way in that was done already.
                if !self.at_tc_ingress() {
                    bindings::skb_postpull_rcsum(skb, header.cast(), len);
                }
            }
            bindings::skb_pop_mac_header(skb);
            bindings::skb_reset_mac_len(skb);
        }
        true
    }

    /// Bytes of the MAC header. 0, if there is none.
    #[inline(always)]
    pub(crate) fn mac_len(&self) -> u32 {
        // SAFETY: The packet is valid.
        unsafe { (*self.as_ptr()).mac_len.into() }
    }

    /// How the packet is to be cut into segments; `None` if it is one. C: `skb_is_gso()`.
    #[inline(always)]
    pub(crate) fn gso(&self) -> Option<Gso> {
        // SAFETY: The packet is valid, and so is what its buffer ends in.
        let (size, types) = unsafe {
            let shared = shared_info(self.as_ptr());
            ((*shared).gso_size, (*shared).gso_type)
        };
        (size != 0).then_some(Gso {
            types: GsoTypes::from_bits(types),
            size,
        })
    }

    /// Bytes of data in the linear part. C: `skb_headlen()`.
    #[inline(always)]
    pub(crate) fn headlen(&self) -> u32 {
        // SAFETY: The packet is valid.
        unsafe { (*self.as_ptr()).len.wrapping_sub((*self.as_ptr()).data_len) }
    }

    /// Notes in the control block where the linear data end, for the instructions that the verifier
    /// makes of a program's `data_end`. Programs on routes have no `data_meta`, which is noted there,
    /// too, for others. C: `bpf_compute_data_pointers()`.
    #[inline(always)]
    pub(in crate::abstractions) fn note_data_end(&mut self) {
        const {
            assert!(
                size_of::<bindings::bpf_skb_data_end>() <= size_of::<[c_char; 48]>()
                    && align_of::<bindings::bpf_skb_data_end>() <= 8
            );
        }
        // SAFETY: The packet is valid and ours by `&mut`; its control block has the room, and is
        // aligned to 8 bytes.
        unsafe {
            let skb = self.as_ptr();
            let end = (*skb).data.add(self.headlen() as usize);
            let ends = (&raw mut (*skb).cb).cast::<bindings::bpf_skb_data_end>();
            (*ends).data_end = end.cast();
        }
    }

    /// Makes the headers writable, with so much room in front of them. `ENOMEM`; the packet is
    /// unchanged then. Does not sleep. C: `skb_cow_head()`.
    #[inline(always)]
    pub(crate) fn cow_head(&mut self, headroom: u32) -> Result {
        // SAFETY: The packet is valid, and `&mut` says that no pointer into it is kept.
        success(unsafe { bindings::skb_cow_head(self.as_ptr(), headroom) })
    }

    /// Makes `bytes` more room in front of the data, by a reallocation. The packet is unchanged on
    /// error (`ENOMEM`). Does not sleep. C: `pskb_expand_head()`.
    pub(crate) fn expand_headroom(&mut self, bytes: u32) -> Result {
        let bytes = c_int::try_from(bytes).map_err(|_| ENOMEM)?;
        // SAFETY: The packet is valid, and `&mut` says that no pointer into it is kept.
        success(unsafe {
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
        // SAFETY: The packet is valid by the type invariant, and `&mut` says that nobody else of
        // ours looks at it. Hooks own what they are given; a shared packet shares its data only.
        unsafe { SkBuff::from_raw_mut(self.0.as_ptr()) }
    }
}

impl Drop for Skb {
    #[inline]
    fn drop(&mut self) {
        let (skb, reason) = (self.0.as_ptr(), DropReason::NOT_SPECIFIED);
        // SAFETY: One reference is ours by the type invariant, and this is its end.
        unsafe { bindings::sk_skb_reason_drop(ptr::null_mut(), skb, reason.as_raw()) };
    }
}
