// SPDX-License-Identifier: GPL-2.0-only

//! Outer IP headers that programs push: `bpf_lwt_push_encap(BPF_LWT_ENCAP_IP)`.

#[cfg(lwtcls_kunit)]
#[path = "../../kunit/push/mod.rs"]
mod suite;

use super::gso;
use crate::abstractions::{
    bpf::ProgMem,
    net::encap::{
        ip_fast_csum,
        Direction,
        EncapSkb, //
    },
    uapi::{
        ETH_P_IP,
        ETH_P_IPV6,
        IPPROTO_DSTOPTS,
        IPPROTO_HOPOPTS,
        IPPROTO_ROUTING,
        IPPROTO_UDP,
        LWT_BPF_MAX_HEADROOM, //
    }, //
};
use kernel::prelude::*;

/// Length of an IPv4 header without options.
const IPV4_LEN: usize = 20;
/// Offset of the protocol field in an IPv4 header.
const IPV4_PROTOCOL: usize = 9;
/// Position of the checksum in an IPv4 header.
const IPV4_CHECK: core::ops::Range<usize> = 10..12;
/// Length of an IPv6 header.
const IPV6_LEN: usize = 40;
/// Offset of the next header field in an IPv6 header.
const IPV6_NEXTHDR: usize = 6;
/// Length of a UDP header.
pub(super) const UDP_LEN: usize = 8;

/// The IP version of the outer header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ip {
    /// IPv4, with the length of the header, options included.
    V4(usize),
    /// IPv6.
    V6,
}

/// The validated fields of the header that a program wants to push.
pub(super) struct Outer {
    /// The IP version.
    pub(super) ip: Ip,
    /// The first byte: the version, and for IPv4 the header length.
    first: u8,
    /// The protocol or next header field of the IP header (`IPPROTO_*`).
    next: u8,
    /// The upper-layer protocol, after any IPv6 extension headers (`IPPROTO_*`).
    pub(super) protocol: u8,
    /// The offset of the upper-layer header. It may lie past the pushed bytes, in the packet
    /// itself.
    pub(super) transport_offset: usize,
}

impl Outer {
    /// Validates the header that a program passed.
    ///
    /// Fails with `EINVAL` if the header is too short or too long, if it is shorter than its own
    /// length field says, or if its protocol is UDP and it does not contain a UDP header.
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
                    transport_offset: len,
                }
            }
            6 => {
                if header.len() < IPV6_LEN {
                    return Err(EINVAL);
                }
                let [next] = header.read(IPV6_NEXTHDR).ok_or(EINVAL)?;
                let (protocol, transport_offset) = skip_exthdr(header, next);
                Self {
                    ip: Ip::V6,
                    first,
                    next,
                    protocol,
                    transport_offset,
                }
            }
            _ => return Err(EINVAL),
        };
        if this.protocol == IPPROTO_UDP && header.len() < this.transport_offset + UDP_LEN {
            return Err(EINVAL);
        }
        Ok(this)
    }

    /// Completes the header in the packet: restores the validated fields, and fills in an IPv4
    /// checksum that is 0. Returns the new `skb->protocol` (`ETH_P_*`, network byte order).
    #[inline(always)]
    fn finalize(&self, hdr: &mut [u8]) -> u16 {
        // The program's memory may have changed between validation and copy: write back the fields
        // that were validated.
        match self.ip {
            Ip::V4(len) => {
                if let Some([first, _, _, _, _, _, _, _, _, protocol, c0, c1, ..]) =
                    hdr.get_mut(..IPV4_LEN)
                {
                    (*first, *protocol) = (self.first, self.next);
                    if (*c0, *c1) == (0, 0) {
                        let check = hdr.get(..len).and_then(ip_fast_csum).unwrap_or(0);
                        hdr[IPV4_CHECK].copy_from_slice(&check.to_ne_bytes());
                    }
                }
                ETH_P_IP
            }
            Ip::V6 => {
                if let Some([first, _, _, _, _, _, next, ..]) = hdr.get_mut(..IPV6_LEN) {
                    (*first, *next) = (self.first, self.next);
                }
                ETH_P_IPV6
            }
        }
    }
}

/// Skips the IPv6 extension headers that the program passed. Returns the upper-layer protocol and
/// its offset.
#[inline(always)]
fn skip_exthdr(header: ProgMem<'_>, next: u8) -> (u8, usize) {
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

/// Encapsulates a packet in an outer IP header. On error the packet is unchanged.
/// C: `bpf_lwt_push_ip_encap()`.
#[inline(always)]
pub(super) fn push(mut skb: EncapSkb<'_>, header: ProgMem<'_>) -> Result {
    let outer = Outer::parse(header)?;
    let len = header.len();
    let gso_update = match skb.gso() {
        Some(gso) => Some(gso::encapsulate(gso, &outer, header)?),
        None => None,
    };
    let headroom = match skb.direction() {
        Direction::Ingress => skb.mac_len(),
        // The program may have dropped the route, or replaced it by one without a device.
        Direction::Egress => skb.dst_dev().ok_or(EINVAL)?.ll_reserved_space(),
    };

    let protocol = skb.push(header, headroom, |hdr| outer.finalize(hdr))?;
    // After the IPv4 checksum is filled in, so that CHECKSUM_COMPLETE covers it.
    if skb.direction() == Direction::Ingress {
        skb.postpush_rcsum(len as u32);
    }
    let is_udp = outer.protocol == IPPROTO_UDP;
    skb.set_outer(protocol, is_udp.then_some(outer.transport_offset as u16));
    if let Some(gso_update) = gso_update {
        skb.add_gso(gso_update.types, gso_update.size);
    }
    Ok(())
}
