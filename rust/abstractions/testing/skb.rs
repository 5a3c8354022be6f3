// SPDX-License-Identifier: GPL-2.0-only

//! Packets.

use crate::abstractions::{
    bindings,
    net::{
        dst::Dst,
        pkt_cls::{
            TcRan,
            TcRun,
            TcSkb, //
        },
        skbuff::{
            shared_info,
            GsoTypes,
            SkBuff,
            Skb, //
        }, //
    }, //
};
use core::ptr::NonNull;
use kernel::prelude::*;

/// Watches a packet: holds a reference to it besides the one that is tested.
pub(crate) struct SkbWatch(NonNull<bindings::sk_buff>);

/// Bytes in front of the data of a packet that [`skb`] makes.
pub(crate) const HEADROOM: u32 = 64;

/// A packet of `len` bytes, each of them its own index, and the means to see it freed.
pub(crate) fn skb(len: u32) -> Result<(Skb, SkbWatch)> {
    // SAFETY: FFI calls; the packet is ours alone, and has the room that is used.
    unsafe {
        let skb = bindings::alloc_skb(HEADROOM + len, bindings::GFP_ATOMIC);
        let watch = SkbWatch(NonNull::new(skb).ok_or(ENOMEM)?);
        bindings::skb_reserve(skb, HEADROOM as c_int);
        let data = bindings::skb_put(skb, len).cast::<u8>();
        for i in 0..len {
            data.add(i as usize).write(i as u8);
        }
        Ok((Skb::from_raw(bindings::skb_get(skb)), watch))
    }
}

/// A packet as [`skb`] makes it, which nobody watches.
pub(crate) fn lone_skb(len: u32) -> Result<Skb> {
    let (skb, _) = skb(len)?;
    Ok(skb)
}

/// What there is to know about an encapsulated packet. Offsets count from where the data begin.
#[derive(PartialEq, Eq)]
pub(crate) struct Headers {
    pub(crate) protocol_be: u16,
    pub(crate) network: i32,
    pub(crate) transport: i32,
    pub(crate) encapsulation: bool,
    pub(crate) inner_protocol_be: u16,
    pub(crate) inner_mac: i32,
    pub(crate) inner_network: i32,
    pub(crate) inner_transport: i32,
    pub(crate) hash: u32,
    pub(crate) gso_types: GsoTypes,
    pub(crate) gso_size: u16,
    pub(crate) gso_segs: u16,
}

impl SkBuff {
    /// Sets a packet up as it reaches a hook: with a link header of `mac_len` bytes in front, a
    /// network header of `ip_len` bytes, a hash, and a device.
    pub(crate) fn enter_lwt(&mut self, protocol: u16, mac_len: u16, ip_len: u16, dst: Dst<'_>) {
        let skb = self.as_ptr();
        // SAFETY: The packet is valid and ours, and longer than these headers.
        unsafe {
            bindings::skb_reset_mac_header(skb);
            (*skb).mac_len = mac_len;
            bindings::__skb_pull(skb, mac_len.into());
            bindings::skb_reset_network_header(skb);
            bindings::skb_set_transport_header(skb, ip_len.into());
            let headers = (*skb).__bindgen_anon_4.headers.as_mut();
            headers.protocol = protocol;
            headers.hash = 7;
            (*skb)
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev = dst.dev().as_ptr();
        }
    }

    /// Gives the packet a route, which must outlive it, or takes it away.
    pub(crate) fn set_dst(&mut self, dst: Option<Dst<'_>>) {
        // The lowest bit says that the route is not counted.
        let refdst = dst.map_or(0, |dst| dst.as_ptr() as usize | 1);
        // SAFETY: The packet is valid and ours.
        unsafe {
            (*self.as_ptr())
                .__bindgen_anon_3
                .__bindgen_anon_1
                ._skb_refdst = refdst as c_ulong;
        }
    }

    /// Makes it one of segments.
    pub(crate) fn set_gso(&mut self, types: GsoTypes, size: u16, segs: u16) {
        // SAFETY: The packet is valid and ours.
        unsafe {
            let shared = shared_info(self.as_ptr());
            (*shared).gso_type = types.bits();
            (*shared).gso_size = size;
            (*shared).gso_segs = segs;
        }
    }

    /// Has the packet know the sum of all its data, as from a device.
    pub(crate) fn set_checksum_complete(&mut self) {
        let sum = self.sum();
        let headers = self.headers_mut();
        headers.set_ip_summed(bindings::CHECKSUM_COMPLETE as u8);
        headers.__bindgen_anon_1.csum = sum;
    }

    /// Whether what the packet knows of its sum is true.
    pub(crate) fn checksum_holds(&self) -> bool {
        // SAFETY: The packet is valid.
        let known = unsafe {
            (*self.as_ptr())
                .__bindgen_anon_4
                .headers
                .as_ref()
                .__bindgen_anon_1
                .csum
        };
        // As sums of 16 bits, of which 0 and 0xffff are the same.
        known % 0xffff == self.sum() % 0xffff
    }

    fn sum(&self) -> u32 {
        // SAFETY: The packet is valid, and has that many bytes.
        unsafe { bindings::skb_checksum(self.as_ptr(), 0, self.len() as c_int, 0) }
    }

    /// The bytes of the linear part.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: The packet is valid, and has that many bytes there.
        unsafe { core::slice::from_raw_parts((*self.as_ptr()).data, self.headlen() as usize) }
    }

    /// What is written down about the packet's headers.
    pub(crate) fn headers(&self) -> Headers {
        let skb = self.as_ptr();
        // SAFETY: The packet is valid, and both views of the union have the fields at the same
        // place.
        unsafe {
            let headers = (*skb).__bindgen_anon_4.headers.as_ref();
            let shared = shared_info(skb);
            let data = (*skb).data.offset_from((*skb).head) as i32;
            let offset = |header: u16| i32::from(header) - data;
            Headers {
                protocol_be: headers.protocol,
                network: offset(headers.network_header),
                transport: offset(headers.transport_header),
                encapsulation: headers.encapsulation() != 0,
                inner_protocol_be: headers.__bindgen_anon_5.inner_protocol,
                inner_mac: offset(headers.inner_mac_header),
                inner_network: offset(headers.inner_network_header),
                inner_transport: offset(headers.inner_transport_header),
                hash: headers.hash,
                gso_types: GsoTypes::from_bits((*shared).gso_type),
                gso_size: (*shared).gso_size,
                gso_segs: (*shared).gso_segs,
            }
        }
    }

    /// Overwrites bytes at the beginning of the linear data.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.headlen() as usize);
        // SAFETY: The packet is valid and ours, and has the bytes by the assertion.
        unsafe {
            let data = (*self.as_ptr()).data;
            data.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    /// Has the IP layer's control block say that an IPv4 header has options, and that the packet came
    /// in by a device of a VRF.
    pub(crate) fn set_ip_options(&mut self) {
        let cb = self.inet_cb();
        cb.iif = 3;
        cb.opt.optlen = 8;
        cb.opt.rr = 20;
        cb.opt.ts = 24;
        cb.flags = bindings::IPSKB_L3SLAVE as u16;
        cb.frag_max_size = 1000;
    }

    /// What the IP layer's control block says as one of IPv4: the device, the length of the options,
    /// where one of them is, and whether the packet came in by a device of a VRF.
    pub(crate) fn seen_by_inet(&mut self) -> (c_int, u8, u8, bool) {
        let cb = self.inet_cb();
        let slave = u32::from(cb.flags) & bindings::IPSKB_L3SLAVE != 0;
        (cb.iif, cb.opt.optlen, cb.opt.rr, slave)
    }

    /// What it says as one of IPv6: the device, where the next header is named, the size of the
    /// largest fragment, and whether the packet came in by a device of a VRF.
    pub(crate) fn seen_by_inet6(&mut self) -> (c_int, u16, u16, bool) {
        let cb = self.inet6_cb();
        let slave = u32::from(cb.flags) & bindings::IP6SKB_L3SLAVE != 0;
        (cb.iif, cb.nhoff, cb.frag_max_size, slave)
    }

    /// Uses up all the room in front of the data.
    pub(crate) fn take_headroom(&mut self) {
        let headroom = self.headroom();
        // SAFETY: The packet is valid, and has that room.
        unsafe { bindings::__skb_push(self.as_ptr(), headroom) };
    }
}

/// Gives a packet away, and gets it back.
pub(crate) fn round_trip(skb: Skb) -> Skb {
    // SAFETY: The very packet that was given away.
    unsafe { Skb::from_raw(skb.into_raw()) }
}

impl SkbWatch {
    /// Whether the reference that is tested was given back, once.
    pub(crate) fn freed(&self) -> bool {
        // SAFETY: The packet is valid, for the watch has a reference.
        unsafe { (*self.0.as_ptr()).users.refs.counter == 1 }
    }

    /// The packet.
    fn skb(&self) -> &SkBuff {
        // SAFETY: The packet is valid, for the watch has a reference, and a suite touches it by one
        // way at a time.
        unsafe { SkBuff::from_raw_mut(self.0.as_ptr()) }
    }

    /// The bytes in front of the data.
    pub(crate) fn headroom(&self) -> u32 {
        self.skb().headroom()
    }

    /// Sets the packet up as it reaches a classifier: with a link header of `mac_len` bytes, and
    /// its data beginning behind it if it comes in.
    pub(crate) fn enter_tc(&self, mac_len: u16, at_ingress: bool) {
        // SAFETY: The packet is valid, for the watch has a reference, and longer than its MAC header.
        unsafe {
            let skb = self.0.as_ptr();
            bindings::skb_reset_mac_header(skb);
            (*skb).mac_len = mac_len;
            (*skb)
                .__bindgen_anon_4
                .headers
                .as_mut()
                .set_tc_at_ingress(at_ingress.into());
            if at_ingress {
                bindings::__skb_pull(skb, mac_len.into());
            }
        }
    }

    /// Makes it one of a protocol (`ETH_P_*`, in network byte order) whose header begins where the
    /// data does, on the device of a route.
    pub(crate) fn set_protocol(&self, protocol: u16, dst: Dst<'_>) {
        // SAFETY: The packet is valid, for the watch has a reference.
        unsafe {
            let skb = self.0.as_ptr();
            (*skb)
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev = dst.dev().as_ptr();
            (*skb).__bindgen_anon_4.headers.as_mut().protocol = protocol;
            bindings::skb_reset_network_header(skb);
        }
    }

    /// The packet as tc sees it.
    pub(crate) fn tc(&mut self) -> TcSkb<'_> {
        // SAFETY: The packet is valid; who has it besides does not touch it meanwhile.
        unsafe { TcSkb::from_raw(self.0.as_ptr()) }
    }

    /// Sets the type of a time stamp, and no time stamp.
    pub(crate) fn set_tstamp_type(&self, kind: u8) {
        // SAFETY: The packet is valid, for the watch has a reference, and a suite touches it by one
        // way at a time.
        unsafe {
            (*self.0.as_ptr()).__bindgen_anon_2.tstamp = 0;
            SkBuff::from_raw_mut(self.0.as_ptr())
                .headers_mut()
                .set_tstamp_type(kind);
        }
    }

    /// The type of the time stamp.
    pub(crate) fn tstamp_type(&self) -> u8 {
        self.skb().headers_ref().tstamp_type()
    }
}

impl TcRun<'_> {
    /// The bytes that a program can read directly.
    pub(crate) fn direct_len(&self) -> usize {
        let skb = self.as_ptr();
        // SAFETY: The packet is valid, and the end is in its buffer.
        unsafe {
            let ends = (&raw const (*skb).cb).cast::<bindings::bpf_skb_data_end>();
            (*ends).data_end as usize - (*skb).data as usize
        }
    }
}

impl TcRan<'_> {
    /// Cuts the packet, which is longer, off.
    pub(crate) fn trim(&mut self, len: u32) {
        let skb = self.as_ptr();
        // SAFETY: The packet is valid, linear and longer.
        unsafe {
            (*skb).tail -= (*skb).len - len;
            (*skb).len = len;
        }
    }
}

impl Drop for SkbWatch {
    fn drop(&mut self) {
        // SAFETY: The watch's own reference.
        drop(unsafe { Skb::from_raw(self.0.as_ptr()) });
    }
}
