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
            GsoTypes,
            SkBuff,
            Skb, //
        }, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    ptr::project, //
};

/// An extra reference to a packet, with which a test checks that the code under test released its
/// own.
pub(crate) struct SkbWatch(NonNull<bindings::sk_buff>);

/// Headroom of a packet from [`skb`].
pub(crate) const HEADROOM: u32 = 64;

/// Allocates a packet of `len` bytes, each of which is its own index. Returns the packet and a
/// watch.
pub(crate) fn skb(len: u32) -> Result<(Skb, SkbWatch)> {
    // SAFETY: An FFI call with no requirements.
    let skb = unsafe { bindings::alloc_skb(HEADROOM + len, bindings::GFP_ATOMIC) };
    let watch = SkbWatch(NonNull::new(skb).ok_or(ENOMEM)?);
    // SAFETY: The packet was allocated above, with enough space for the headroom.
    unsafe { bindings::skb_reserve(skb, HEADROOM as c_int) };
    // SAFETY: The packet was allocated above, with enough space for the data.
    let data = unsafe { bindings::skb_put(skb, len) }.cast::<u8>();
    for i in 0..len {
        // SAFETY: The packet has `len` bytes of data.
        unsafe { data.wrapping_add(i as usize).write(i as u8) };
    }
    // SAFETY: The watch holds the packet.
    let skb = unsafe { bindings::skb_get(skb) };
    // SAFETY: The new reference is passed on.
    Ok((unsafe { Skb::from_raw(skb) }, watch))
}

/// Allocates a packet like [`skb`], without a watch.
pub(crate) fn lone_skb(len: u32) -> Result<Skb> {
    let (skb, _) = skb(len)?;
    Ok(skb)
}

/// The fields of a packet that encapsulation changes. Offsets are relative to the data.
#[derive(PartialEq, Eq)]
pub(crate) struct Headers {
    /// The protocol, in network byte order.
    pub(crate) protocol_be: u16,
    /// The offset of the network header.
    pub(crate) network: i32,
    /// The offset of the transport header.
    pub(crate) transport: i32,
    /// Whether the packet is encapsulated.
    pub(crate) encapsulation: bool,
    /// The inner protocol, in network byte order.
    pub(crate) inner_protocol_be: u16,
    /// The offset of the inner MAC header.
    pub(crate) inner_mac: i32,
    /// The offset of the inner network header.
    pub(crate) inner_network: i32,
    /// The offset of the inner transport header.
    pub(crate) inner_transport: i32,
    /// The hash.
    pub(crate) hash: u32,
    /// The GSO types.
    pub(crate) gso_types: GsoTypes,
    /// The payload of a segment.
    pub(crate) gso_size: u16,
    /// The number of segments, 0 if unknown.
    pub(crate) gso_segs: u16,
}

impl SkBuff {
    /// Prepares a packet as for a hook: with a MAC header of `mac_len` bytes before the data, a
    /// network header of `ip_len` bytes, a hash, and a device.
    pub(crate) fn enter_lwt(&mut self, protocol: u16, mac_len: u16, ip_len: u16, dst: Dst<'_>) {
        self.set_mac_header(mac_len);
        // SAFETY: The packet is valid, exclusively borrowed, and longer than its MAC header.
        unsafe { bindings::__skb_pull(self.as_ptr(), mac_len.into()) };
        self.set_network_header(protocol, dst);
        // SAFETY: The packet is valid, exclusively borrowed, and longer than its headers.
        unsafe { bindings::skb_set_transport_header(self.as_ptr(), ip_len.into()) };
        self.headers_mut().hash = 7;
    }

    /// Sets the MAC header to the beginning of the data, with `mac_len` bytes.
    fn set_mac_header(&mut self, mac_len: u16) {
        self.reset_mac_header();
        // SAFETY: The packet is valid and exclusively borrowed.
        unsafe { (*self.as_ptr()).mac_len = mac_len };
    }

    /// Sets the protocol, the network header to the beginning of the data, and the device to that
    /// of the route.
    fn set_network_header(&mut self, protocol: u16, dst: Dst<'_>) {
        self.headers_mut().protocol = protocol;
        // SAFETY: The packet is valid and exclusively borrowed.
        unsafe { bindings::skb_reset_network_header(self.as_ptr()) };
        // SAFETY: The packet is valid and exclusively borrowed.
        unsafe { self.dev_field().write(dst.dev().as_ptr()) };
    }

    /// Sets or removes the route of the packet. The route must outlive the packet.
    pub(crate) fn set_dst(&mut self, dst: Option<Dst<'_>>) {
        // The lowest bit is `SKB_DST_NOREF`: the packet holds no reference.
        let refdst = dst.map_or(0, |dst| dst.as_ptr() as usize | 1);
        let place = project!(mut self.as_ptr(), .__bindgen_anon_3.__bindgen_anon_1._skb_refdst);
        // SAFETY: The packet is valid and exclusively borrowed.
        unsafe { place.write(refdst as c_ulong) };
    }

    /// Makes this a GSO packet.
    pub(crate) fn set_gso(&mut self, types: GsoTypes, size: u16, segs: u16) {
        // SAFETY: The packet is exclusively borrowed, and has no clone. Its shared info is valid.
        let shared = unsafe { &mut *self.shared_info() };
        shared.gso_type = types.bits();
        shared.gso_size = size;
        shared.gso_segs = segs;
    }

    /// Sets `CHECKSUM_COMPLETE`, as a device does, over all data of the packet.
    pub(crate) fn set_checksum_complete(&mut self) {
        let sum = self.sum();
        let headers = self.headers_mut();
        headers.set_ip_summed(bindings::CHECKSUM_COMPLETE as u8);
        headers.__bindgen_anon_1.csum = sum;
    }

    /// Returns whether the packet's checksum is the one of its data.
    pub(crate) fn checksum_holds(&self) -> bool {
        // SAFETY: Both members of the union are plain numbers.
        let known = unsafe { self.headers_ref().__bindgen_anon_1.csum };
        // Compare the 16-bit sums, in which 0 and 0xffff are the same.
        known % 0xffff == self.sum() % 0xffff
    }

    fn sum(&self) -> u32 {
        // SAFETY: The packet is valid, and has that many bytes.
        unsafe { bindings::skb_checksum(self.as_ptr(), 0, self.len() as c_int, 0) }
    }

    /// Returns the linear data.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: The packet is valid, and has that many bytes of linear data.
        unsafe { core::slice::from_raw_parts(self.data(), self.headlen() as usize) }
    }

    /// Returns the fields that encapsulation changes.
    pub(crate) fn headers(&self) -> Headers {
        let headers = self.headers_ref();
        // SAFETY: The packet has no clone. Its shared info is valid.
        let shared = unsafe { &*self.shared_info() };
        let data = self.headroom() as i32;
        let offset = |header: u16| i32::from(header) - data;
        Headers {
            protocol_be: headers.protocol,
            network: offset(headers.network_header),
            transport: offset(headers.transport_header),
            encapsulation: headers.encapsulation() != 0,
            // SAFETY: Both members of the union are plain numbers.
            inner_protocol_be: unsafe { headers.__bindgen_anon_5.inner_protocol },
            inner_mac: offset(headers.inner_mac_header),
            inner_network: offset(headers.inner_network_header),
            inner_transport: offset(headers.inner_transport_header),
            hash: headers.hash,
            gso_types: GsoTypes::from_bits(shared.gso_type),
            gso_size: shared.gso_size,
            gso_segs: shared.gso_segs,
        }
    }

    /// Overwrites the beginning of the linear data.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.headlen() as usize);
        let data = self.data();
        // SAFETY: The packet is valid, exclusively borrowed, and has that many bytes by the
        // assertion.
        unsafe { data.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Sets up the IPv4 control block as for a packet with IP options, received from a device in a
    /// VRF.
    pub(crate) fn set_ip_options(&mut self) {
        let cb = self.inet_cb();
        cb.iif = 3;
        cb.opt.optlen = 8;
        cb.opt.rr = 20;
        cb.opt.ts = 24;
        cb.flags = bindings::IPSKB_L3SLAVE as u16;
        cb.frag_max_size = 1000;
    }

    /// Reads the control block as that of IPv4. Returns the input device, the length of the
    /// options, the offset of the record route option, and whether the input device is in a VRF.
    pub(crate) fn seen_by_inet(&mut self) -> (c_int, u8, u8, bool) {
        let cb = self.inet_cb();
        let slave = u32::from(cb.flags) & bindings::IPSKB_L3SLAVE != 0;
        (cb.iif, cb.opt.optlen, cb.opt.rr, slave)
    }

    /// Reads the control block as that of IPv6. Returns the input device, the offset of the next
    /// header field, the size of the largest fragment, and whether the input device is in a VRF.
    pub(crate) fn seen_by_inet6(&mut self) -> (c_int, u16, u16, bool) {
        let cb = self.inet6_cb();
        let slave = u32::from(cb.flags) & bindings::IP6SKB_L3SLAVE != 0;
        (cb.iif, cb.nhoff, cb.frag_max_size, slave)
    }

    /// Uses up the headroom.
    pub(crate) fn take_headroom(&mut self) {
        let headroom = self.headroom();
        // SAFETY: The packet is valid, and has that headroom.
        unsafe { bindings::__skb_push(self.as_ptr(), headroom) };
    }
}

/// Passes a packet on as a raw pointer, and takes it over again.
pub(crate) fn round_trip(skb: Skb) -> Skb {
    // SAFETY: The pointer comes from `into_raw`, which passed on the reference.
    unsafe { Skb::from_raw(skb.into_raw()) }
}

impl SkbWatch {
    /// Returns whether the reference of the code under test was released, once.
    pub(crate) fn freed(&self) -> bool {
        // SAFETY: The packet is valid, because the watch holds a reference.
        unsafe { (*self.0.as_ptr()).users.refs.counter == 1 }
    }

    /// Passes the packet to `f`.
    fn with<R>(&self, f: impl FnOnce(&mut SkBuff) -> R) -> R {
        // SAFETY: The packet is valid, because the watch holds a reference. A suite does not access
        // it through the watch and its own reference at the same time.
        f(unsafe { SkBuff::from_raw_mut(self.0.as_ptr()) })
    }

    /// Returns the headroom.
    pub(crate) fn headroom(&self) -> u32 {
        self.with(|skb| skb.headroom())
    }

    /// Prepares the packet as for a classifier: with a MAC header of `mac_len` bytes. At ingress
    /// the data begins after it.
    pub(crate) fn enter_tc(&self, mac_len: u16, at_ingress: bool) {
        self.with(|skb| {
            skb.set_mac_header(mac_len);
            skb.headers_mut().set_tc_at_ingress(at_ingress.into());
            if at_ingress {
                // SAFETY: The packet is valid, exclusively borrowed, and longer than its MAC
                // header.
                unsafe { bindings::__skb_pull(skb.as_ptr(), mac_len.into()) };
            }
        });
    }

    /// Sets the protocol of the packet (`ETH_P_*`, in network byte order), its network header to
    /// the beginning of the data, and its device to that of the route.
    pub(crate) fn set_protocol(&self, protocol: u16, dst: Dst<'_>) {
        self.with(|skb| skb.set_network_header(protocol, dst));
    }

    /// Returns the packet as tc gets it.
    pub(crate) fn tc(&mut self) -> TcSkb<'_> {
        // SAFETY: The packet is valid. The holder of the other reference does not access it
        // meanwhile.
        unsafe { TcSkb::from_raw(self.0.as_ptr()) }
    }

    /// Sets the type of the timestamp, and clears the timestamp.
    pub(crate) fn set_tstamp_type(&self, kind: u8) {
        self.with(|skb| {
            let tstamp = project!(mut skb.as_ptr(), .__bindgen_anon_2.tstamp);
            // SAFETY: The packet is valid and exclusively borrowed.
            unsafe { tstamp.write(0) };
            skb.headers_mut().set_tstamp_type(kind);
        });
    }

    /// Returns the type of the timestamp.
    pub(crate) fn tstamp_type(&self) -> u8 {
        self.with(|skb| skb.headers_ref().tstamp_type())
    }
}

impl TcRun<'_> {
    /// Returns the number of bytes that a program can access directly.
    pub(crate) fn direct_len(&self) -> usize {
        let skb = self.skb();
        // SAFETY: The packet is valid.
        let end = unsafe { (*skb.data_ends()).data_end };
        end as usize - skb.data() as usize
    }
}

impl TcRan<'_> {
    /// Shortens the packet to `len` bytes. It must be longer.
    pub(crate) fn trim(&mut self, len: u32) {
        let skb = self.skb();
        let by = skb.len() - len;
        // SAFETY: The packet is valid, linear and longer than `len`.
        unsafe { (*skb.as_ptr()).tail -= by };
        // SAFETY: The packet is valid, linear and longer than `len`.
        unsafe { (*skb.as_ptr()).len = len };
    }
}

impl Drop for SkbWatch {
    fn drop(&mut self) {
        // SAFETY: The watch owns a reference, and does not use it after this.
        drop(unsafe { Skb::from_raw(self.0.as_ptr()) });
    }
}
