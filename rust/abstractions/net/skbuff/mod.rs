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
    ptr::project,
    transmute::FromBytes,
    types::Opaque, //
};

/// The fields of an skb that are copied to its clones. C: the group `headers` of `struct sk_buff`.
pub(in crate::abstractions) type SkbHeaders = bindings::sk_buff__bindgen_ty_4__bindgen_ty_2;

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

    /// Returns the address of the `headers` group, which `skb_clone()` copies.
    #[inline(always)]
    fn headers_ptr(&self) -> *mut SkbHeaders {
        project!(mut self.as_ptr(), .__bindgen_anon_4).cast()
    }

    /// Returns the `headers` group, which `skb_clone()` copies. It has the header offsets.
    #[inline(always)]
    pub(in crate::abstractions) fn headers_ref(&self) -> &SkbHeaders {
        // SAFETY: The packet is valid and borrowed. Both members of the union have the same layout.
        unsafe { &*self.headers_ptr() }
    }

    /// Returns the fields of [`Self::headers_ref`] for writing.
    #[inline(always)]
    pub(in crate::abstractions) fn headers_mut(&mut self) -> &mut SkbHeaders {
        // SAFETY: The packet is valid and exclusively borrowed. Both members of the union have the
        // same layout.
        unsafe { &mut *self.headers_ptr() }
    }

    /// Returns the start of the buffer.
    #[inline(always)]
    pub(in crate::abstractions) fn head(&self) -> *mut u8 {
        // SAFETY: The packet is valid.
        unsafe { (*self.as_ptr()).head }
    }

    /// Returns the end of the buffer. C: `skb_end_pointer()`.
    #[inline(always)]
    pub(in crate::abstractions) fn end(&self) -> *mut u8 {
        // SAFETY: The packet is valid.
        let end = unsafe { (*self.as_ptr()).end };
        // On 64-bit machines `end` is an offset from `head`. C: `NET_SKBUFF_DATA_USES_OFFSET`.
        #[cfg(CONFIG_64BIT)]
        return self.head().wrapping_add(end as usize);
        #[cfg(not(CONFIG_64BIT))]
        return end;
    }

    /// Returns the shared info at the end of the buffer, which clones share. C: `skb_shinfo()`.
    ///
    /// It is valid as long as the packet has its buffer.
    #[inline(always)]
    pub(in crate::abstractions) fn shared_info(&self) -> *mut bindings::skb_shared_info {
        self.end().cast()
    }

    /// Returns the start of the data.
    #[inline(always)]
    pub(in crate::abstractions) fn data(&self) -> *mut u8 {
        // SAFETY: The packet is valid.
        unsafe { (*self.as_ptr()).data }
    }

    /// Returns the end of the linear data.
    ///
    /// Not the tail: after generic XDP has moved the end of the data, the tail lies behind it.
    #[inline(always)]
    pub(in crate::abstractions) fn data_end(&self) -> *mut u8 {
        self.data().wrapping_add(self.headlen() as usize)
    }

    /// Extends the data into the headroom. Returns the start of the data. C: `__skb_push()`.
    ///
    /// # Safety
    ///
    /// There are `len` bytes of headroom.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn push(&mut self, len: u32) -> *mut u8 {
        let data = self.data().wrapping_sub(len as usize);
        // SAFETY: The packet is valid and exclusively borrowed. `data` is in its buffer, by the
        // safety requirements of this function.
        unsafe { (*self.as_ptr()).data = data };
        // SAFETY: The packet is valid and exclusively borrowed.
        unsafe { (*self.as_ptr()).len += len };
        data
    }

    /// Returns the protocol of the packet (`ETH_P_*`), in network byte order.
    #[inline(always)]
    pub(crate) fn protocol_be(&self) -> u16 {
        self.headers_ref().protocol
    }

    /// Returns the headroom. C: `skb_headroom()`.
    #[inline(always)]
    pub(crate) fn headroom(&self) -> u32 {
        // The data is in the buffer, whose length fits in a `u32`.
        (self.data() as usize).wrapping_sub(self.head() as usize) as u32
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
        // SAFETY: Both members of the union are plain numbers.
        unsafe { self.headers_ref().__bindgen_anon_4.mark }
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
        let header = self.head().wrapping_add(at).cast::<T>();
        // SAFETY: The packet is valid, and the bytes are linear data by the check above. Any bytes
        // are a valid `T`, and the read may be unaligned.
        Some(unsafe { header.read_unaligned() })
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

    /// Returns the address of the field with the packet's device.
    #[inline(always)]
    pub(in crate::abstractions) fn dev_field(&self) -> *mut *mut bindings::net_device {
        project!(
            mut self.as_ptr(),
            .__bindgen_anon_1.__bindgen_anon_1.__bindgen_anon_1.dev
        )
    }

    /// Returns the device that the packet was received from or is being sent to, or null.
    #[inline(always)]
    pub(in crate::abstractions) fn dev_ptr(&self) -> *mut bindings::net_device {
        // SAFETY: The packet is valid.
        unsafe { self.dev_field().read() }
    }

    /// Returns the socket that the packet belongs to, or null.
    #[inline(always)]
    pub(in crate::abstractions::net) fn sk(&self) -> *mut bindings::sock {
        // SAFETY: The packet is valid.
        unsafe { (*self.as_ptr()).sk }
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
        let len = self.mac_len().min(self.headlen());
        // SAFETY: The packet is valid, and has `len` bytes of linear data.
        unsafe { bindings::skb_postpush_rcsum(self.as_ptr(), self.data().cast(), len) };
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
        if len != 0 {
            let header = self.data();
            // SAFETY: The packet is valid, exclusively borrowed, and has that many bytes of linear
            // data by the check above.
            unsafe { bindings::__skb_pull(skb, len) };
            // At ingress the checksum does not cover the MAC header.
            if !self.at_tc_ingress() {
                // SAFETY: The pull did not move the `len` bytes at `header`.
                unsafe { bindings::skb_postpull_rcsum(skb, header.cast(), len) };
            }
        }
        // SAFETY: The packet is valid and exclusively borrowed.
        unsafe { bindings::skb_pop_mac_header(skb) };
        // SAFETY: The packet is valid and exclusively borrowed.
        unsafe { bindings::skb_reset_mac_len(skb) };
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
        let shared = self.shared_info();
        // SAFETY: The shared info of a valid packet is valid.
        let size = unsafe { (*shared).gso_size };
        // SAFETY: The shared info of a valid packet is valid.
        let types = unsafe { (*shared).gso_type };
        (size != 0).then_some(Gso {
            types: GsoTypes::from_bits(types),
            size,
        })
    }

    /// Returns the length of the linear data. C: `skb_headlen()`.
    #[inline(always)]
    pub(crate) fn headlen(&self) -> u32 {
        let len = self.len();
        // SAFETY: The packet is valid.
        len.wrapping_sub(unsafe { (*self.as_ptr()).data_len })
    }

    /// Returns the control block as programs use it, for their data pointers.
    #[inline(always)]
    pub(in crate::abstractions) fn data_ends(&self) -> *mut bindings::bpf_skb_data_end {
        const {
            assert!(
                size_of::<bindings::bpf_skb_data_end>() <= size_of::<[c_char; 48]>()
                    && align_of::<bindings::bpf_skb_data_end>() <= 8
            );
        }
        project!(mut self.as_ptr(), .cb).cast()
    }

    /// Stores the end of the linear data in the control block, where programs read `data_end`.
    /// C: `bpf_compute_data_pointers()`.
    ///
    /// That function also stores `data_meta`, which programs on routes do not have.
    #[inline(always)]
    pub(in crate::abstractions) fn set_data_end(&mut self) {
        let end = self.data_end();
        // SAFETY: The packet is valid and exclusively borrowed. Its control block is large enough
        // by the assertion in `data_ends`, and aligned to 8 bytes.
        unsafe { (*self.data_ends()).data_end = end.cast() };
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
