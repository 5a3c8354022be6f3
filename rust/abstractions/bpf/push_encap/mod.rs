// SPDX-License-Identifier: GPL-2.0-only

//! `bpf_lwt_push_encap(BPF_LWT_ENCAP_IP)`.
//!
//! Implement [`PushEncap`], and hold a [`Helper`].

mod helper;

pub(crate) use helper::*;

use super::ProgMem;
use crate::abstractions::{
    bindings,
    net::{
        encap::{
            Direction,
            EncapSkb,
            PushEncap, //
        },
        skbuff::SkBuff, //
    }, //
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit, //
};
use kernel::prelude::*;

/// Translates calls of the helper to those of `T`.
pub(crate) struct Adapter<T>(PhantomData<T>);

impl<T: PushEncap> Adapter<T> {
    /// # Safety
    ///
    /// Called by a program, with the packet that it runs on and `len` bytes at `hdr` that are valid
    /// for reads during the call. `direction` is the direction of the program.
    #[inline(always)]
    pub(crate) unsafe fn push(
        skb: *mut bindings::sk_buff,
        hdr: *const c_void,
        len: u32,
        direction: Direction,
    ) -> c_int {
        // SAFETY: The packet is valid by the safety requirements of this function. The caller of
        // the program borrows it exclusively for the run.
        let skb = unsafe { SkBuff::from_raw_mut(skb) };
        let (head, end) = (skb.head() as usize, skb.end() as usize);
        if (hdr as usize).wrapping_sub(head) < end.wrapping_sub(head) {
            // SAFETY: By the safety requirements of this function.
            unsafe { Self::push_from_packet(skb, hdr, len, direction) }
        } else {
            // SAFETY: By the safety requirements of this function, and the check above.
            unsafe { Self::push_from_mem(skb, hdr, len, direction) }
        }
    }

    /// # Safety
    ///
    /// Those of [`Self::push`]. In addition, the bytes are not part of the packet.
    #[inline(always)]
    unsafe fn push_from_mem(
        skb: &mut SkBuff,
        hdr: *const c_void,
        len: u32,
        direction: Direction,
    ) -> c_int {
        // SAFETY: Programs run in an RCU read-side critical section. After a helper that changes
        // packets, the verifier invalidates the program's pointers into the packet, slices of a
        // dynptr included.
        let skb = unsafe { EncapSkb::new(skb, direction) };
        // SAFETY: The header is valid for reads and not part of the packet, by the safety
        // requirements of this function.
        let header = unsafe { ProgMem::from_raw(hdr.cast(), len as usize) };
        match T::push(skb, header) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// Pushes a header that is part of the packet. Copies it first, because the data of the packet
    /// moves. Fails with `EINVAL` if it is longer than any header.
    ///
    /// The verifier rejects packet pointers as an argument of the helper, but not a slice of a
    /// dynptr, which may point into the packet.
    ///
    /// # Safety
    ///
    /// Those of [`Self::push`].
    #[cold]
    #[inline(never)]
    unsafe fn push_from_packet(
        skb: &mut SkBuff,
        hdr: *const c_void,
        len: u32,
        direction: Direction,
    ) -> c_int {
        if len as usize > MAX_LEN {
            return EINVAL.to_errno();
        }
        let mut copy = MaybeUninit::<[u8; MAX_LEN]>::uninit();
        let copy = copy.as_mut_ptr().cast();
        // SAFETY: The header is valid for reads by the safety requirements of this function. `copy`
        // is large enough by the check above.
        unsafe { bindings::memcpy(copy, hdr, len as usize) };
        // SAFETY: By the safety requirements of this function. `copy` has the bytes, and is not
        // part of a packet.
        unsafe { Self::push_from_mem(skb, copy, len, direction) }
    }
}

/// Maximum length of a header that a program may push.
const MAX_LEN: usize = bindings::LWT_BPF_MAX_HEADROOM as usize;
