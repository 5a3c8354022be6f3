// SPDX-License-Identifier: GPL-2.0-only

//! Generic segmentation offload.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use crate::abstractions::bindings;

/// A set of GSO types. C: `SKB_GSO_*`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct GsoTypes(u32);

macro_rules! gso_types {
    ($($(#[$doc:meta])* $name:ident = $value:ident;)*) => {
        impl GsoTypes {
            $(
                $(#[$doc])*
                pub(crate) const $name: Self = Self(bindings::$value as u32);
            )*
        }
    };
}

gso_types! {
    /// From an untrusted source: headers and sizes have not been validated.
    DODGY = SKB_GSO_DODGY;
    /// GRE without checksum.
    GRE = SKB_GSO_GRE;
    /// GRE with checksum.
    GRE_CSUM = SKB_GSO_GRE_CSUM;
    /// IPv4 or IPv6 in IPv4.
    IPXIP4 = SKB_GSO_IPXIP4;
    /// IPv4 or IPv6 in IPv6.
    IPXIP6 = SKB_GSO_IPXIP6;
    /// SCTP, one packet per fragment.
    SCTP = SKB_GSO_SCTP;
    /// TCP over IPv4.
    TCPV4 = SKB_GSO_TCPV4;
    /// TCP over IPv6.
    TCPV6 = SKB_GSO_TCPV6;
    /// UDP, one datagram per segment (`UDP_SEGMENT`).
    UDP_L4 = SKB_GSO_UDP_L4;
    /// UDP tunnel without checksum.
    UDP_TUNNEL = SKB_GSO_UDP_TUNNEL;
    /// UDP tunnel with checksum.
    UDP_TUNNEL_CSUM = SKB_GSO_UDP_TUNNEL_CSUM;
}

impl GsoTypes {
    /// Returns the union of both sets.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The empty set.
    #[cfg(lwtcls_kunit)]
    pub(crate) const NONE: Self = Self(0);

    /// Converts from the bits of `gso_type`.
    pub(in crate::abstractions) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Returns the bits of `gso_type`.
    pub(in crate::abstractions) const fn bits(self) -> u32 {
        self.0
    }

    /// Returns whether the sets have a type in common.
    pub(crate) const fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The GSO fields of a packet.
#[derive(Clone, Copy)]
pub(crate) struct Gso {
    /// The type of the segments, and of the tunnels around them. C: `gso_type`.
    pub(crate) types: GsoTypes,
    /// Bytes of payload per segment, or `GSO_BY_FRAGS` if each fragment is a segment.
    /// C: `gso_size`.
    pub(crate) size: u16,
}
