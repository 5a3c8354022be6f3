// SPDX-License-Identifier: GPL-2.0-only

//! What a pushed header means for a packet that will be cut into segments.

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
    },
};
use kernel::prelude::*;

/// The bit of a GRE header that says that there is a checksum, in its first byte.
const GRE_CSUM: u8 = 0x80;

const TCP: GsoTypes = GsoTypes::TCPV4.and(GsoTypes::TCPV6);
/// Tunnels that are known by the inner headers, of which a packet has but one set.
const TUNNELS: GsoTypes = GsoTypes::GRE
    .and(GsoTypes::GRE_CSUM)
    .and(GsoTypes::UDP_TUNNEL)
    .and(GsoTypes::UDP_TUNNEL_CSUM);
const DATAGRAMS: GsoTypes = GsoTypes::UDP_L4.and(GsoTypes::SCTP);

/// What changes about the segments.
pub(super) struct Change {
    /// What is around them besides.
    pub(super) types: GsoTypes,
    /// How large they are from now on; `None` if as before.
    pub(super) size: Option<u16>,
}

/// How a packet has to be cut that gets `outer` in front of it. `ENOTSUPP` if that is possible
/// for no header, `EPROTONOSUPPORT` or `EINVAL` if it is not for this one, `EMSGSIZE` if too little
/// would be left in a segment. C: `handle_gso_encap()`.
pub(super) fn encapsulate(gso: Gso, outer: &Outer, header: ProgMem<'_>) -> Result<Change> {
    // Who cuts it would look for the inner tunnel behind the outer one, and drop it.
    if gso.types.any_of(TUNNELS) {
        return Err(ENOTSUPP);
    }
    let size = if gso.types.any_of(TCP) {
        // The segments have to fit where they did without the header.
        let len = u16::try_from(header.len()).map_err(|_| EINVAL)?;
        let left = gso
            .size
            .checked_sub(len)
            .filter(|&left| left >= TCP_MIN_GSO_SIZE);
        Some(left.ok_or(EMSGSIZE)?)
    } else if gso.types.any_of(DATAGRAMS) {
        // Who sent them gets them as he sent them. If the route's MTU did not say that there will
        // be a header, they are fragmented.
        None
    } else {
        return Err(ENOTSUPP);
    };
    let around = match outer.protocol {
        IPPROTO_GRE => {
            let [flags, _, _, _] = header.read(outer.transport).ok_or(EINVAL)?;
            if flags & GRE_CSUM != 0 {
                GsoTypes::GRE_CSUM
            } else {
                GsoTypes::GRE
            }
        }
        IPPROTO_UDP => {
            let [_, _, _, _, _, _, check @ ..]: [u8; UDP_LEN] =
                header.read(outer.transport).ok_or(EINVAL)?;
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
    Ok(Change {
        // Nobody has looked at what the program wrote.
        types: around.and(GsoTypes::DODGY),
        size,
    })
}
