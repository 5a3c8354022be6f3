// SPDX-License-Identifier: GPL-2.0-only

//! Encapsulation of packets in a header from a BPF program.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::{
    dst::{
        dst_dev_rcu,
        skb_dst, //
    },
    netdevice::NetDevice,
    skbuff::{
        GsoTypes,
        SkBuff, //
    }, //
};
use crate::abstractions::{
    bindings,
    bpf::ProgMem, //
};
use core::ops::Deref;
use kernel::prelude::*;

/// The direction of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// On `in`. There may be a MAC header before the data, from the device that received the
    /// packet. `CHECKSUM_COMPLETE` has to stay valid.
    Ingress,
    /// On `xmit`. The packet has no MAC header yet.
    Egress,
}

/// Encapsulates packets for programs that call `bpf_lwt_push_encap()`.
pub(crate) trait PushEncap {
    /// Pushes the outer header `header`. On error the packet is unchanged.
    ///
    /// Softirq or process context, with bottom halves disabled, in an RCU read-side critical
    /// section.
    fn push(skb: EncapSkb<'_>, header: ProgMem<'_>) -> Result;
}

/// A packet that is to be encapsulated.
///
/// # Invariants
///
/// There are no pointers into the packet's data. The value is only used in an RCU read-side
/// critical section.
pub(crate) struct EncapSkb<'a> {
    skb: &'a mut SkBuff,
    direction: Direction,
}

impl<'a> EncapSkb<'a> {
    /// # Safety
    ///
    /// `'a` lies in an RCU read-side critical section. During `'a` nothing uses pointers into the
    /// packet's data.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn new(skb: &'a mut SkBuff, direction: Direction) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self { skb, direction }
    }

    /// Returns the direction of the packet.
    #[inline(always)]
    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns the device of the packet's route. C: `skb_dst_dev_rcu()`.
    ///
    /// Returns `None` if there is no route, or if it has no device. A program can set such a route
    /// (`bpf_skb_set_tunnel_key()`).
    #[inline(always)]
    pub(crate) fn dst_dev(&self) -> Option<&NetDevice> {
        let dst = skb_dst(self.skb);
        if dst.is_null() {
            return None;
        }
        // SAFETY: The route stays valid during the RCU read-side critical section of the type
        // invariant, whether or not the packet holds a reference to it.
        let dev = unsafe { dst_dev_rcu(dst) };
        // SAFETY: The device stays valid during the RCU read-side critical section of the type
        // invariant.
        (!dev.is_null()).then(|| unsafe { NetDevice::from_raw(dev) })
    }

    /// Pushes `header`, with at least `headroom` bytes of headroom before it. The headers that the
    /// packet has become the inner headers.
    ///
    /// Calls `complete` with the outer header in the packet, and returns its result. Fails with
    /// `ENOMEM`. The packet is then unchanged.
    #[inline(always)]
    pub(crate) fn push<R>(
        &mut self,
        header: ProgMem<'_>,
        headroom: u32,
        complete: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R> {
        let len = u32::try_from(header.len()).map_err(|_| ENOMEM)?;
        self.skb
            .cow_head(len.checked_add(headroom).ok_or(ENOMEM)?)?;
        let data = self.skb.headroom() as u16;
        let headers = self.skb.headers_mut();
        headers.inner_network_header = headers.network_header;
        headers.inner_transport_header = headers.transport_header;
        // The MAC header of the inner packet, if it has one, is part of the pushed bytes.
        headers.inner_mac_header = data;
        headers.__bindgen_anon_5.inner_protocol = headers.protocol;
        headers.set_inner_protocol_type(bindings::ENCAP_TYPE_ETHER as u8);
        headers.set_encapsulation(1);
        // SAFETY: `cow_head` made at least `len` bytes of headroom.
        let outer = unsafe { self.skb.push(len) };
        // SAFETY: The packet begins with `len` bytes at `outer`, as many as `header` has. After
        // `cow_head` they are not shared.
        unsafe { header.copy_to(outer) };
        // SAFETY: The bytes were written above. The packet is exclusively borrowed, and after
        // `cow_head` they are not shared.
        let outer = unsafe { core::slice::from_raw_parts_mut(outer, header.len()) };
        Ok(complete(outer))
    }

    /// Adds the first `len` bytes of the data to `CHECKSUM_COMPLETE`, if the packet has it.
    /// C: `skb_postpush_rcsum()`, which assumes that `len` is even.
    #[inline(always)]
    pub(crate) fn postpush_rcsum(&mut self, len: u32) {
        if u32::from(self.skb.headers_ref().ip_summed()) != bindings::CHECKSUM_COMPLETE {
            return;
        }
        let len = len.min(self.skb.headlen());
        // SAFETY: The packet has that many bytes of linear data.
        let pushed = unsafe { bindings::csum_partial(self.skb.data().cast(), len as c_int, 0) };
        // SAFETY: Both members of the union are plain numbers.
        let sum = unsafe { &mut self.skb.headers_mut().__bindgen_anon_1.csum };
        // SAFETY: An FFI call with no requirements.
        *sum = unsafe { bindings::csum_block_add(pushed, *sum, len as c_int) };
    }

    /// Sets the protocol and the offsets of the outer headers, clears the hash, and updates the end
    /// of the data. The data begins with a network header of the given protocol (`ETH_P_*`, in
    /// network byte order).
    ///
    /// `transport` is the offset of the transport header from there, if it is known. It is ignored
    /// if it lies past the linear data.
    #[inline(always)]
    pub(crate) fn set_outer(&mut self, protocol_be: u16, transport: Option<u16>) {
        let data = self.skb.headroom() as u16;
        let transport = transport.filter(|&at| u32::from(at) <= self.skb.headlen());
        let headers = self.skb.headers_mut();
        headers.protocol = protocol_be;
        headers.network_header = data;
        if let Some(offset) = transport {
            headers.transport_header = data.wrapping_add(offset);
        }
        // The hash is that of the inner headers. C: `skb_clear_hash()`.
        headers.hash = 0;
        headers.set_sw_hash(0);
        headers.set_l4_hash(0);
        self.skb.set_data_end();
    }

    /// Adds GSO types to those of the packet. With `size`, also sets `gso_size`, and resets
    /// `gso_segs`, which is then unknown.
    #[inline(always)]
    pub(crate) fn add_gso(&mut self, types: GsoTypes, size: Option<u16>) {
        // A packet whose header is not shared may share the shared info with a clone in the queue
        // of a socket. The socket sets the GSO fields again before it uses them.
        let shared = self.skb.shared_info();
        // SAFETY: The shared info of a valid packet is valid. Nothing reads the field meanwhile.
        unsafe { (*shared).gso_type |= types.bits() };
        if let Some(size) = size {
            // SAFETY: The shared info of a valid packet is valid. Nothing reads the field
            // meanwhile.
            unsafe { (*shared).gso_size = size };
            // SAFETY: The shared info of a valid packet is valid. Nothing reads the field
            // meanwhile.
            unsafe { (*shared).gso_segs = 0 };
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

/// Computes the checksum of an IPv4 header whose checksum field is 0. The result is in network byte
/// order. C: `ip_fast_csum()`.
///
/// Returns `None` if the length is not that of an IPv4 header: a multiple of 4, at least 20 and at
/// most 60.
#[inline(always)]
pub(crate) fn ip_fast_csum(header: &[u8]) -> Option<u16> {
    if header.len() < 20 || header.len() % 4 != 0 || header.len() > 60 {
        return None;
    }
    // SAFETY: The header is valid for reads of that many 32-bit words.
    Some(unsafe { bindings::ip_fast_csum(header.as_ptr().cast(), (header.len() / 4) as c_uint) })
}
