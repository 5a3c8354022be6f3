// SPDX-License-Identifier: GPL-2.0-only

//! The fields of IP headers that a route lookup uses.

use super::packet_drop::PacketDrop;
use crate::abstractions::net::{
    flow::In6Addr,
    skbuff::Skb, //
};
use kernel::prelude::*;

/// The IPv4 header fields that a route lookup uses. Addresses are in network byte order.
pub(super) struct Ipv4Key {
    pub(super) tos: u8,
    pub(super) protocol: u8,
    pub(super) saddr: u32,
    pub(super) daddr: u32,
}

impl Ipv4Key {
    #[inline(always)]
    pub(super) fn from_skb(skb: &Skb) -> Result<Self, PacketDrop> {
        let [first, _, third, saddr, daddr]: [u32; 5] =
            skb.network_header().ok_or(PacketDrop::truncated())?;
        Ok(Self {
            tos: (u32::from_be(first) >> 16) as u8,
            protocol: (u32::from_be(third) >> 16) as u8,
            saddr,
            daddr,
        })
    }
}

/// The IPv6 header fields that a route lookup uses, in network byte order.
pub(super) struct Ipv6Key {
    /// Version, traffic class and flow label.
    pub(super) flowinfo: u32,
    pub(super) protocol: u8,
    pub(super) saddr: In6Addr,
    pub(super) daddr: In6Addr,
}

impl Ipv6Key {
    #[inline(always)]
    pub(super) fn from_skb(skb: &Skb) -> Result<Self, PacketDrop> {
        let [_, s0, s1, d0, d1]: [u64; 5] = skb.network_header().ok_or(PacketDrop::truncated())?;
        let [flowinfo, second]: [u32; 2] = skb.network_header().ok_or(PacketDrop::truncated())?;
        Ok(Self {
            flowinfo,
            protocol: (u32::from_be(second) >> 8) as u8,
            saddr: [s0, s1],
            daddr: [d0, d1],
        })
    }
}
