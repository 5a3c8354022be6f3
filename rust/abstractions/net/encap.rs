// SPDX-License-Identifier: GPL-2.0-only

//! Packets that a BPF program puts a header in front of.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::skbuff::{
    GsoTypes,
    SkBuff, //
};
use crate::abstractions::{
    bindings,
    bpf::ProgMem, //
};
use core::{
    mem::{
        align_of,
        size_of, //
    },
    ops::Deref, //
};
use kernel::prelude::*;

/// Who pushes, and where the packet is on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The helper of programs on `in`. The link header that the packet came in with may lie in
    /// front of the data, and what was summed up of it is kept true.
    Ingress,
    /// The helper of programs on `xmit`. The link header is still to come.
    Egress,
    /// The kfunc, on either. The verifier does not know that it changes the packet: the program
    /// may go on using pointers into it that it had before.
    Kfunc,
}

/// Headers of packets in the making, which [`EncapSkb`] is given.
pub(crate) trait PushEncap {
    /// Puts `header` in front of the packet. The packet is as it was on error. Softirq or process
    /// context, bottom halves off, inside of an RCU read side.
    fn push(skb: EncapSkb<'_>, header: ProgMem<'_>) -> Result;
}

/// A packet that is about to be encapsulated.
///
/// # Invariants
///
/// No pointer into the packet's data is in use but those that its program may have, if `side` is
/// [`Side::Kfunc`]; these are not used after the RCU read side that the program runs in.
pub(crate) struct EncapSkb<'a> {
    skb: &'a mut SkBuff,
    side: Side,
}

impl<'a> EncapSkb<'a> {
    /// # Safety
    ///
    /// The value is used inside of an RCU read side. If `side` is not [`Side::Kfunc`] nobody uses
    /// pointers into the packet's data any more; if it is, not beyond the read side.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn new(skb: &'a mut SkBuff, side: Side) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self { skb, side }
    }

    /// Who pushes.
    #[inline(always)]
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// Makes what the packet is now the inner one, and `len` bytes in front of it the outer
    /// header, with `headroom` bytes left in front of that. Returns the outer header, which has
    /// any contents. `ENOMEM`; the packet is as it was then.
    #[inline(always)]
    pub(crate) fn begin(&mut self, len: u32, headroom: u32) -> Result<&mut [u8]> {
        let room = len.checked_add(headroom).ok_or(ENOMEM)?;
        if self.side == Side::Kfunc {
            self.keep_if_moved(room)?;
        }
        self.skb.cow_head(room)?;
        let skb = self.skb.as_ptr();
        // SAFETY: The packet is valid and borrowed, its headers are its own and have the room, by
        // the line above.
        unsafe {
            bindings::skb_reset_inner_headers(skb);
            // The link header of the inner packet is, if there is one, a part of what is pushed.
            bindings::skb_reset_inner_mac_header(skb);
            bindings::skb_set_inner_protocol(skb, self.skb.protocol_be());
            (*skb)
                .__bindgen_anon_4
                .headers
                .as_mut()
                .set_encapsulation(1);
            let outer = bindings::__skb_push(skb, len).cast::<u8>();
            Ok(core::slice::from_raw_parts_mut(outer, len as usize))
        }
    }

    /// Keeps the memory of a packet that has to move, until the program that has pointers into it
    /// is done.
    fn keep_if_moved(&mut self, room: u32) -> Result {
        let skb = self.skb.as_ptr();
        const {
            assert!(size_of::<bindings::callback_head>() <= size_of::<[c_char; 48]>());
            assert!(align_of::<bindings::callback_head>() <= 8);
        }
        // SAFETY: The packet is valid and borrowed. The copy of its head is ours alone, its
        // control block is free for use, and aligned to 8 bytes; the function that gets it back
        // frees it.
        unsafe {
            if self.skb.headroom() >= room && bindings::skb_header_cloned(skb) == 0 {
                return Ok(());
            }
            let kept = bindings::skb_clone(skb, bindings::GFP_ATOMIC);
            if kept.is_null() {
                return Err(ENOMEM);
            }
            let cb: *mut bindings::callback_head = (&raw mut (*kept).cb).cast();
            bindings::call_rcu(cb, Some(Self::let_go));
        }
        Ok(())
    }

    /// # Safety
    ///
    /// Called by RCU with what [`Self::keep_if_moved`] gave it.
    unsafe extern "C" fn let_go(cb: *mut bindings::callback_head) {
        let skb = cb
            .wrapping_byte_sub(core::mem::offset_of!(bindings::sk_buff, cb))
            .cast::<bindings::sk_buff>();
        // SAFETY: The packet is the one that the control block belongs to, and ours.
        unsafe { bindings::consume_skb(skb) };
    }

    /// Counts the first `len` bytes of the data into the checksum of what was received, if there
    /// is one. C: `skb_postpush_rcsum()`, which takes an even `len` for granted.
    #[inline(always)]
    pub(crate) fn postpush_rcsum(&mut self, len: u32) {
        let skb = self.skb.as_ptr();
        // SAFETY: The packet is valid and borrowed, both views of the union have the fields at the
        // same place. Its header was pushed: it has that many bytes.
        unsafe {
            let headers = (*skb).__bindgen_anon_4.headers.as_mut();
            if u32::from(headers.ip_summed()) != bindings::CHECKSUM_COMPLETE {
                return;
            }
            let len = len.min(self.skb.headlen());
            let pushed = bindings::csum_partial((*skb).data.cast(), len as c_int, 0);
            let sum = &mut headers.__bindgen_anon_1.csum;
            *sum = bindings::csum_block_add(pushed, *sum, len as c_int);
        }
    }

    /// Says that the data begin with the header of a packet of this protocol (`ETH_P_*`, network
    /// byte order), and, if it is known, how many bytes from there the next header is.
    #[inline(always)]
    pub(crate) fn set_outer(&mut self, protocol_be: u16, transport: Option<u16>) {
        let skb = self.skb.as_ptr();
        // SAFETY: The packet is valid and borrowed; both views of the union have the field at the
        // same place.
        unsafe {
            bindings::skb_reset_network_header(skb);
            if let Some(offset) = transport {
                bindings::skb_set_transport_header(skb, offset.into());
            }
            (*skb).__bindgen_anon_4.headers.as_mut().protocol = protocol_be;
            bindings::skb_clear_hash(skb);
            bindings::bpf_compute_data_pointers(skb);
        }
    }

    /// Adds to how the packet is to be cut into segments. With `size`, they are of this size, and
    /// nobody knows how many there are.
    #[inline(always)]
    pub(crate) fn resegment(&mut self, types: GsoTypes, size: Option<u16>) {
        // SAFETY: The packet is valid and borrowed, and so is what its buffer ends in. A packet
        // whose headers are its own may share it with a copy in a socket's queue, which sets it
        // anew before it uses it.
        unsafe {
            let shared = bindings::skb_shinfo(self.skb.as_ptr());
            (*shared).gso_type |= types.bits();
            if let Some(size) = size {
                (*shared).gso_size = size;
                (*shared).gso_segs = 0;
            }
        }
    }
}

impl Deref for EncapSkb<'_> {
    type Target = SkBuff;

    #[inline(always)]
    fn deref(&self) -> &SkBuff {
        self.skb
    }
}

/// Checksum of an IPv4 header, in the byte order of the header, in which the field for it is 0.
/// `None` if that is no header: its length is a multiple of 4, and at least 20. C:
/// `ip_fast_csum()`.
#[inline(always)]
pub(crate) fn ip_fast_csum(header: &[u8]) -> Option<u16> {
    if header.len() < 20 || header.len() % 4 != 0 || header.len() > 60 {
        return None;
    }
    // SAFETY: That many words can be read.
    Some(unsafe { bindings::ip_fast_csum(header.as_ptr().cast(), (header.len() / 4) as c_uint) })
}
