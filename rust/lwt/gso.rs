// SPDX-License-Identifier: GPL-2.0-only

//! GSO packets that get an outer header.

use super::push::{
    Ip,
    Outer,
    UDP_LEN, //
};
use crate::abstractions::{
    bpf::ProgMem,
    compat::EPROTONOSUPPORT,
    net::skbuff::{
        Gso,
        GsoTypes, //
    },
    uapi::{
        IPPROTO_GRE,
        IPPROTO_IPIP,
        IPPROTO_IPV6,
        IPPROTO_UDP,
        TCP_MIN_GSO_SIZE, //
    }, //
};
use kernel::prelude::*;

/// Checksum-present bit in the first byte of a GRE header.
const GRE_CSUM: u8 = 0x80;

const TCP: GsoTypes = GsoTypes::TCPV4.and(GsoTypes::TCPV6);
/// Tunnels whose segmentation uses the inner header offsets, of which an skb has only one set.
const TUNNELS: GsoTypes = GsoTypes::GRE
    .and(GsoTypes::GRE_CSUM)
    .and(GsoTypes::UDP_TUNNEL)
    .and(GsoTypes::UDP_TUNNEL_CSUM);
const DATAGRAMS: GsoTypes = GsoTypes::UDP_L4.and(GsoTypes::SCTP);

/// The changes to the GSO fields of a packet.
pub(super) struct GsoUpdate {
    /// GSO types to add.
    pub(super) types: GsoTypes,
    /// The new `gso_size`, or `None` to keep the old one.
    pub(super) size: Option<u16>,
}

/// Returns the changes that a GSO packet needs when `outer` is pushed. C: `handle_gso_encap()`.
///
/// Fails with
/// - `ENOTSUPP` if packets of these GSO types cannot be encapsulated at all,
/// - `EPROTONOSUPPORT` or `EINVAL` if they cannot be encapsulated with this header,
/// - `EMSGSIZE` if the segments would have less than `TCP_MIN_GSO_SIZE` bytes.
pub(super) fn encapsulate(gso: Gso, outer: &Outer, header: ProgMem<'_>) -> Result<GsoUpdate> {
    // An skb has one set of inner offsets: nested tunnels cannot be segmented and would be dropped.
    if gso.types.any_of(TUNNELS) {
        return Err(ENOTSUPP);
    }
    let size = if gso.types.any_of(TCP) {
        // A segment must not become longer than it was without the header.
        let len = u16::try_from(header.len()).map_err(|_| EINVAL)?;
        let left = gso
            .size
            .checked_sub(len)
            .filter(|&left| left >= TCP_MIN_GSO_SIZE);
        Some(left.ok_or(EMSGSIZE)?)
    } else if gso.types.any_of(DATAGRAMS) {
        // Keep gso_size: the boundaries of datagrams must not change. They are fragmented if the
        // route's MTU does not account for the header.
        None
    } else {
        return Err(ENOTSUPP);
    };
    let tunnel = match outer.protocol {
        IPPROTO_GRE => {
            let [flags, _, _, _] = header.read(outer.transport_offset).ok_or(EINVAL)?;
            if flags & GRE_CSUM != 0 {
                GsoTypes::GRE_CSUM
            } else {
                GsoTypes::GRE
            }
        }
        IPPROTO_UDP => {
            let [_, _, _, _, _, _, check @ ..]: [u8; UDP_LEN] =
                header.read(outer.transport_offset).ok_or(EINVAL)?;
            if check != [0, 0] {
                GsoTypes::UDP_TUNNEL_CSUM
            } else {
                GsoTypes::UDP_TUNNEL
            }
        }
        IPPROTO_IPIP | IPPROTO_IPV6 => match outer.ip {
            Ip::V4(..) => GsoTypes::IPXIP4,
            Ip::V6 => GsoTypes::IPXIP6,
        },
        _ => return Err(EPROTONOSUPPORT),
    };
    Ok(GsoUpdate {
        // The header is untrusted input from a program.
        types: tunnel.and(GsoTypes::DODGY),
        size,
    })
}
