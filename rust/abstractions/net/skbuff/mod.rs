// SPDX-License-Identifier: GPL-2.0-only

//! Packets (socket buffers).
//!
//! [`SkBuff`] is a borrowed packet, [`Skb`] an owned one. Freeing a packet twice does not compile,
//! and a packet that is not passed on is freed.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

mod drop_reason;
mod gso;
mod owned;

pub(crate) use drop_reason::DropReason;
pub(crate) use gso::{
    Gso,
    GsoTypes, //
};
pub(crate) use owned::Skb;

use crate::abstractions::{
    bindings,
    success, //
};
use kernel::{
    prelude::*,
    transmute::FromBytes,
    types::Opaque, //
};

/// The fields of an skb that are copied to its clones. C: the group `headers` of `struct sk_buff`.
pub(in crate::abstractions) type SkbHeaders = bindings::sk_buff__bindgen_ty_4__bindgen_ty_2;

/// Returns the end of the buffer. C: `skb_end_pointer()`.
///
/// # Safety
///
/// `skb` is valid.
#[inline(always)]
pub(in crate::abstractions) unsafe fn end_pointer(skb: *const bindings::sk_buff) -> *mut u8 {
    // SAFETY: By the safety requirements of this function.
    let (head, end) = unsafe { ((*skb).head, (*skb).end) };
    // On 64-bit machines `end` is an offset from `head`. C: `NET_SKBUFF_DATA_USES_OFFSET`.
    #[cfg(CONFIG_64BIT)]
    return head.wrapping_add(end as usize);
    #[cfg(not(CONFIG_64BIT))]
    return end;
}

/// Returns the shared info at the end of the buffer, which clones share. C: `skb_shinfo()`.
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

/// A borrowed packet. C: `struct sk_buff`.
#[repr(transparent)]
pub(crate) struct SkBuff(Opaque<bindings::sk_buff>);

impl SkBuff {
    /// # Safety
    ///
    /// `skb` is valid, and nothing else accesses its fields during `'a`.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw_mut<'a>(
        skb: *mut bindings::sk_buff,
    ) -> &'a mut Self {
        // SAFETY: The type is `repr(transparent)`. The rest is by the safety requirements of this
        // function.
        unsafe { &mut *skb.cast() }
    }

    /// Returns the raw pointer.
    #[inline(always)]
    pub(in crate::abstractions) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.0.get()
    }

    /// Returns the fields that clones get a copy of, header offsets among them.
    #[inline(always)]
    pub(in crate::abstractions) fn headers_ref(&self) -> &SkbHeaders {
        // SAFETY: The packet is valid and borrowed. Both members of the union have the same layout.
        unsafe { (*self.as_ptr()).__bindgen_anon_4.headers.as_ref() }
    }

    /// Returns the fields of [`Self::headers_ref`] for writing.
    #[inline(always)]
    pub(in crate::abstractions) fn headers_mut(&mut self) -> &mut SkbHeaders {
        // SAFETY: The packet is valid and exclusively borrowed. Both members of the union have the
        // same layout.
        unsafe { (*self.as_ptr()).__bindgen_anon_4.headers.as_mut() }
    }

    /// Returns the protocol of the packet (`ETH_P_*`), in network byte order.
    #[inline(always)]
    pub(crate) fn protocol_be(&self) -> u16 {
        self.headers_ref().protocol
    }

    /// Returns the headroom. C: `skb_headroom()`.
    #[inline(always)]
    pub(crate) fn headroom(&self) -> u32 {
        // SAFETY: The packet is valid. Its data is in its buffer, whose length fits in a `u32`.
        unsafe { (*self.as_ptr()).data.offset_from((*self.as_ptr()).head) as u32 }
    }

    /// Returns the length of the data, nonlinear data included.
    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        // SAFETY: The packet is valid.
        unsafe { (*self.as_ptr()).len }
    }

    /// Returns the mark, which routing rules can match.
    #[inline(always)]
    pub(crate) fn mark(&self) -> u32 {
        // SAFETY: The packet is valid. The field has the same offset in both members of the union.
        unsafe {
            (*self.as_ptr())
                .__bindgen_anon_4
                .headers
                .as_ref()
                .__bindgen_anon_4
                .mark
        }
    }

    /// Reads the beginning of the network header. C: `skb_network_header()`.
    ///
    /// Returns `None` if it is not completely in the linear data.
    #[inline(always)]
    pub(crate) fn network_header<T: FromBytes>(&self) -> Option<T> {
        if !self.has_network_header::<T>() {
            return None;
        }
        let at = usize::from(self.headers_ref().network_header);
        // SAFETY: The packet is valid, and the bytes are linear data by the check above. Any bytes
        // are a valid `T`, and the read may be unaligned.
        Some(unsafe { (*self.as_ptr()).head.add(at).cast::<T>().read_unaligned() })
    }

    /// Returns the offset of the network header from the data. It is negative if the header is in
    /// the headroom. C: `skb_network_offset()`.
    #[inline(always)]
    pub(crate) fn network_offset(&self) -> i32 {
        i32::from(self.headers_ref().network_header).wrapping_sub(self.headroom() as i32)
    }

    /// Returns whether a `T` at the network header is completely in the linear data.
    /// C: `skb_network_header()`.
    #[inline(always)]
    pub(crate) fn has_network_header<T>(&self) -> bool {
        let end = self.headlen() as c_int;
        let offset = self.network_offset();
        offset >= 0 && end - offset >= const { size_of::<T>() as c_int }
    }

    /// Returns the device that the packet was received from or is being sent to, or null.
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

    /// Returns whether the MAC header is set, and precedes the network header.
    #[inline(always)]
    pub(crate) fn has_mac_header(&self) -> bool {
        // The offset of a MAC header that is not set is the maximum.
        let headers = self.headers_ref();
        headers.mac_header < headers.network_header
    }

    /// Sets the MAC header to the beginning of the data. C: `skb_reset_mac_header()`.
    #[inline(always)]
    pub(crate) fn reset_mac_header(&mut self) {
        self.headers_mut().mac_header = self.headroom() as u16;
    }

    /// Returns whether tc has the packet at ingress, or had it there last.
    /// C: `skb_at_tc_ingress()`.
    #[inline(always)]
    pub(crate) fn at_tc_ingress(&self) -> bool {
        #[cfg(CONFIG_NET_XGRESS)]
        return self.headers_ref().tc_at_ingress() != 0;
        #[cfg(not(CONFIG_NET_XGRESS))]
        return false;
    }

    /// Keeps `CHECKSUM_COMPLETE` valid after the data was extended to include the MAC header.
    /// C: `skb_postpush_rcsum()`.
    pub(crate) fn postpush_mac_header(&mut self) {
        let skb = self.as_ptr();
        let len = self.mac_len().min(self.headlen());
        // SAFETY: The packet is valid, and has that many bytes of linear data.
        unsafe { bindings::skb_postpush_rcsum(skb, (*skb).data.cast(), len) };
    }

    /// Removes the MAC header: the data then begins at the network header.
    /// C: `__skb_pull()`, `skb_postpull_rcsum()`, `skb_pop_mac_header()`.
    ///
    /// Returns `false`, and leaves the packet unchanged, if no data would be left, or if the MAC
    /// header is not in the linear data.
    pub(crate) fn strip_mac_header(&mut self) -> bool {
        let skb = self.as_ptr();
        let Ok(len) = u32::try_from(self.network_offset()) else {
            return false;
        };
        if self.len() <= len || self.headlen() < len {
            return false;
        }
        // SAFETY: The packet is valid, exclusively borrowed, and has that many bytes of linear
        // data. The pull does not move the data.
        unsafe {
            if len != 0 {
                let header = (*skb).data;
                bindings::__skb_pull(skb, len);
                // At ingress the checksum does not cover the MAC header.
                if !self.at_tc_ingress() {
                    bindings::skb_postpull_rcsum(skb, header.cast(), len);
                }
            }
            bindings::skb_pop_mac_header(skb);
            bindings::skb_reset_mac_len(skb);
        }
        true
    }

    /// Returns the length of the MAC header, or 0 if there is none.
    #[inline(always)]
    pub(crate) fn mac_len(&self) -> u32 {
        // SAFETY: The packet is valid.
        unsafe { (*self.as_ptr()).mac_len.into() }
    }

    /// Returns the GSO fields, or `None` if this is no GSO packet. C: `skb_is_gso()`.
    #[inline(always)]
    pub(crate) fn gso(&self) -> Option<Gso> {
        // SAFETY: The packet is valid, and so is its shared info.
        let (size, types) = unsafe {
            let shared = shared_info(self.as_ptr());
            ((*shared).gso_size, (*shared).gso_type)
        };
        (size != 0).then_some(Gso {
            types: GsoTypes::from_bits(types),
            size,
        })
    }

    /// Returns the length of the linear data. C: `skb_headlen()`.
    #[inline(always)]
    pub(crate) fn headlen(&self) -> u32 {
        // SAFETY: The packet is valid.
        unsafe { (*self.as_ptr()).len.wrapping_sub((*self.as_ptr()).data_len) }
    }

    /// Stores the end of the linear data in the control block, where programs read `data_end`.
    /// C: `bpf_compute_data_pointers()`.
    ///
    /// That function also stores `data_meta`, which programs on routes do not have.
    #[inline(always)]
    pub(in crate::abstractions) fn set_data_end(&mut self) {
        const {
            assert!(
                size_of::<bindings::bpf_skb_data_end>() <= size_of::<[c_char; 48]>()
                    && align_of::<bindings::bpf_skb_data_end>() <= 8
            );
        }
        // SAFETY: The packet is valid and exclusively borrowed. Its control block is large enough
        // by the assertion, and aligned to 8 bytes.
        unsafe {
            let skb = self.as_ptr();
            let end = (*skb).data.add(self.headlen() as usize);
            let ends = (&raw mut (*skb).cb).cast::<bindings::bpf_skb_data_end>();
            (*ends).data_end = end.cast();
        }
    }

    /// Makes the headers writable, with at least `headroom` bytes of headroom. Does not sleep.
    /// C: `skb_cow_head()`.
    ///
    /// Fails with `ENOMEM`. The packet is then unchanged.
    #[inline(always)]
    pub(crate) fn cow_head(&mut self, headroom: u32) -> Result {
        // SAFETY: The packet is valid. It is exclusively borrowed, so there are no pointers into
        // its data.
        success(unsafe { bindings::skb_cow_head(self.as_ptr(), headroom) })
    }

    /// Adds `bytes` bytes of headroom by a reallocation. Does not sleep. C: `pskb_expand_head()`.
    ///
    /// Fails with `ENOMEM`. The packet is then unchanged.
    pub(crate) fn expand_headroom(&mut self, bytes: u32) -> Result {
        let bytes = c_int::try_from(bytes).map_err(|_| ENOMEM)?;
        // SAFETY: The packet is valid. It is exclusively borrowed, so there are no pointers into
        // its data.
        success(unsafe {
            bindings::pskb_expand_head(self.as_ptr(), bytes, 0, bindings::GFP_ATOMIC)
        })
    }
}
