// SPDX-License-Identifier: GPL-2.0-only

//! Packets that a BPF program puts a header in front of.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::{
    dst::{
        dst_dev_rcu,
        skb_dst, //
    },
    netdevice::NetDevice,
    skbuff::{
        shared_info,
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

/// Where on its way the packet is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// On `in`. The MAC header of the packet as it was received may lie in front of the data, and
    /// `CHECKSUM_COMPLETE` has to stay valid.
    Ingress,
    /// On `xmit`. The MAC header is still to come.
    Egress,
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
/// Nobody has a pointer into the packet's data, and the value is used inside of an RCU read side.
pub(crate) struct EncapSkb<'a> {
    skb: &'a mut SkBuff,
    side: Side,
}

impl<'a> EncapSkb<'a> {
    /// # Safety
    ///
    /// `'a` lies in an RCU read side, during which nobody uses pointers into the packet's data.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn new(skb: &'a mut SkBuff, side: Side) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self { skb, side }
    }

    /// Where on its way the packet is.
    #[inline(always)]
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// The device of the packet's route. `None` if there is no route, or one without a device, as
    /// programs can give it to a packet (`bpf_skb_set_tunnel_key()`). C: `skb_dst_dev_rcu()`.
    #[inline(always)]
    pub(crate) fn dst_dev(&self) -> Option<&NetDevice> {
        // SAFETY: The packet is valid. Its route stays during the RCU read side of the type
        // invariant, whether or not the packet counts a reference, and so does the route's device.
        unsafe {
            let dst = skb_dst(self.skb.as_ptr());
            if dst.is_null() {
                return None;
            }
            let dev = dst_dev_rcu(dst);
            (!dev.is_null()).then(|| NetDevice::from_raw(dev))
        }
    }

    /// Makes what the packet is now the inner one, and `header` the outer header, with `headroom`
    /// bytes left in front of that. `complete` gets the outer header as it is in the packet; what it
    /// returns is returned. `ENOMEM`; the packet is as it was then.
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
        // The MAC header of the inner packet is, if there is one, a part of what is pushed.
        headers.inner_mac_header = data;
        headers.__bindgen_anon_5.inner_protocol = headers.protocol;
        headers.set_inner_protocol_type(bindings::ENCAP_TYPE_ETHER as u8);
        headers.set_encapsulation(1);
        let skb = self.skb.as_ptr();
        // SAFETY: The packet is valid and borrowed, its headers are its own and have the room, by
        // the call above. `header` is that long, and lies elsewhere: it is no part of a packet.
        unsafe {
            let outer = (*skb).data.sub(len as usize);
            (*skb).data = outer;
            (*skb).len += len;
            header.copy_to(outer);
            Ok(complete(core::slice::from_raw_parts_mut(
                outer,
                header.len(),
            )))
        }
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
    /// byte order), and, if it is known, how many bytes from there the transport header is. One that
    /// would lie outside of the linear data is not set.
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
        // What was hashed were the headers of the inner packet. C: `skb_clear_hash()`.
        headers.hash = 0;
        headers.set_sw_hash(0);
        headers.set_l4_hash(0);
        self.skb.note_data_end();
    }

    /// Adds to how the packet is to be cut into segments. With `size`, they are of this size, and
    /// nobody knows how many there are.
    #[inline(always)]
    pub(crate) fn resegment(&mut self, types: GsoTypes, size: Option<u16>) {
        // SAFETY: The packet is valid and borrowed, and so is what its buffer ends in. A packet
        // whose headers are its own may share it with a copy in a socket's queue, which sets it
        // anew before it uses it.
        unsafe {
            let shared = shared_info(self.skb.as_ptr());
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
