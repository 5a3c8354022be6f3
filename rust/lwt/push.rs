// SPDX-License-Identifier: GPL-2.0-only

//! Headers that programs put in front of packets.

#[cfg(lwtcls_kunit)]
#[path = "../../kunit/push.rs"]
mod suite;

use super::gso;
use crate::abstractions::{
    bpf::ProgMem,
    net::encap::{
        ip_fast_csum,
        EncapSkb,
        Side, //
    },
    uapi::{
        ETH_P_IP,
        ETH_P_IPV6,
        IPPROTO_DSTOPTS,
        IPPROTO_HOPOPTS,
        IPPROTO_ROUTING,
        IPPROTO_UDP,
        LWT_BPF_MAX_HEADROOM, //
    },
};
use kernel::prelude::*;

/// Length of an IPv4 header without options.
const IPV4_LEN: usize = 20;
/// Where the protocol is in it.
const IPV4_PROTOCOL: usize = 9;
/// Where its checksum is.
const IPV4_CHECK: core::ops::Range<usize> = 10..12;
/// Length of an IPv6 header.
const IPV6_LEN: usize = 40;
/// Where the next header is named in it.
const IPV6_NEXTHDR: usize = 6;
/// Length of a UDP header.
pub(super) const UDP_LEN: usize = 8;

/// The outermost header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ip {
    /// IPv4, with the length of the header, options included.
    V4(usize),
    /// IPv6.
    V6,
}

/// What a program wants in front of a packet, as far as it was looked at.
pub(super) struct Outer {
    /// Which header it is.
    pub(super) ip: Ip,
    /// Its first byte: the version, and for IPv4 the length.
    first: u8,
    /// What it says itself that comes next (`IPPROTO_*`).
    next: u8,
    /// What comes behind the IP header, extensions left out (`IPPROTO_*`).
    pub(super) protocol: u8,
    /// Where that begins. It may be that only the packet itself has it.
    pub(super) transport: usize,
}

impl Outer {
    /// Looks at what a program brought. `EINVAL`, if the header is shorter or longer than one can
    /// be, shorter than it says itself, or announces UDP and has none.
    #[inline(always)]
    pub(super) fn parse(header: ProgMem<'_>) -> Result<Self> {
        if header.len() < IPV4_LEN || header.len() > LWT_BPF_MAX_HEADROOM as usize {
            return Err(EINVAL);
        }
        let [first] = header.read(0).ok_or(EINVAL)?;
        let this = match first >> 4 {
            4 => {
                let len = usize::from(first & 0xf) * 4;
                if len < IPV4_LEN || len > header.len() {
                    return Err(EINVAL);
                }
                let [protocol] = header.read(IPV4_PROTOCOL).ok_or(EINVAL)?;
                Self {
                    ip: Ip::V4(len),
                    first,
                    next: protocol,
                    protocol,
                    transport: len,
                }
            }
            6 => {
                if header.len() < IPV6_LEN {
                    return Err(EINVAL);
                }
                let [next] = header.read(IPV6_NEXTHDR).ok_or(EINVAL)?;
                let (protocol, transport) = upper_layer(header, next);
                Self {
                    ip: Ip::V6,
                    first,
                    next,
                    protocol,
                    transport,
                }
            }
            _ => return Err(EINVAL),
        };
        if this.protocol == IPPROTO_UDP && header.len() < this.transport + UDP_LEN {
            return Err(EINVAL);
        }
        Ok(this)
    }

    /// Completes the header in the packet. Returns the protocol of the packet (`ETH_P_*`, network
    /// byte order).
    #[inline(always)]
    fn complete(&self, room: &mut [u8]) -> u16 {
        // The program's memory may have changed between the check and the copy. What was checked
        // stays.
        match self.ip {
            Ip::V4(len) => {
                if let Some([first, _, _, _, _, _, _, _, _, protocol, c0, c1, ..]) =
                    room.get_mut(..IPV4_LEN)
                {
                    (*first, *protocol) = (self.first, self.next);
                    if (*c0, *c1) == (0, 0) {
                        let check = room.get(..len).and_then(ip_fast_csum).unwrap_or(0);
                        room[IPV4_CHECK].copy_from_slice(&check.to_ne_bytes());
                    }
                }
                ETH_P_IP
            }
            Ip::V6 => {
                if let Some([first, _, _, _, _, _, next, ..]) = room.get_mut(..IPV6_LEN) {
                    (*first, *next) = (self.first, self.next);
                }
                ETH_P_IPV6
            }
        }
    }
}

/// Goes over the extensions of an IPv6 header, as far as the program brought them, to what comes
/// behind them, and where.
#[inline(always)]
fn upper_layer(header: ProgMem<'_>, next: u8) -> (u8, usize) {
    let (mut protocol, mut offset) = (next, IPV6_LEN);
    while matches!(
        protocol,
        IPPROTO_HOPOPTS | IPPROTO_ROUTING | IPPROTO_DSTOPTS
    ) {
        let Some([next, words]) = header.read(offset) else {
            break;
        };
        protocol = next;
        offset += (usize::from(words) + 1) * 8;
    }
    (protocol, offset)
}

/// Puts a header in front of a packet, which is then the inner one. The packet is as it was on
/// error. C: `bpf_lwt_push_ip_encap()`.
#[inline(always)]
pub(super) fn push(mut skb: EncapSkb<'_>, header: ProgMem<'_>) -> Result {
    let outer = Outer::parse(header)?;
    let len = header.len();
    let segments = match skb.gso() {
        Some(gso) => Some(gso::encapsulate(gso, &outer, header)?),
        None => None,
    };
    let headroom = match skb.side() {
        Side::Ingress => skb.mac_len(),
        // A route that a program took away, or replaced by one without device, is none to push for.
        Side::Egress => skb.dst_dev().ok_or(EINVAL)?.ll_reserved_space(),
    };

    let protocol = skb.push(header, headroom, |room| outer.complete(room))?;
    // After the IPv4 checksum was filled in, so that CHECKSUM_COMPLETE covers it.
    if skb.side() == Side::Ingress {
        skb.postpush_rcsum(len as u32);
    }
    let is_udp = outer.protocol == IPPROTO_UDP;
    skb.set_outer(protocol, is_udp.then_some(outer.transport as u16));
    if let Some(segments) = segments {
        skb.resegment(segments.types, segments.size);
    }
    Ok(())
}
