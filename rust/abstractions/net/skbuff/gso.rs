// SPDX-License-Identifier: GPL-2.0-only

//! Generic segmentation offload.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use crate::abstractions::bindings;

/// How a packet is to be cut into segments. C: `SKB_GSO_*`.
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
    /// Nobody has looked whether headers and sizes are right.
    DODGY = SKB_GSO_DODGY;
    /// GRE without checksum.
    GRE = SKB_GSO_GRE;
    /// GRE with checksum.
    GRE_CSUM = SKB_GSO_GRE_CSUM;
    /// IPv4 or IPv6 in IPv4.
    IPXIP4 = SKB_GSO_IPXIP4;
    /// IPv4 or IPv6 in IPv6.
    IPXIP6 = SKB_GSO_IPXIP6;
    /// SCTP packets, one for each fragment.
    SCTP = SKB_GSO_SCTP;
    /// TCP over IPv4.
    TCPV4 = SKB_GSO_TCPV4;
    /// TCP over IPv6.
    TCPV6 = SKB_GSO_TCPV6;
    /// UDP datagrams.
    UDP_L4 = SKB_GSO_UDP_L4;
    /// A tunnel over UDP whose checksum is 0.
    UDP_TUNNEL = SKB_GSO_UDP_TUNNEL;
    /// A tunnel over UDP with checksum.
    UDP_TUNNEL_CSUM = SKB_GSO_UDP_TUNNEL_CSUM;
}

impl GsoTypes {
    /// These and those.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// None of them.
    #[cfg(lwtcls_kunit)]
    pub(crate) const NONE: Self = Self(0);

    /// From the kernel's numbers.
    pub(in crate::abstractions) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The kernel's numbers.
    pub(in crate::abstractions) const fn bits(self) -> u32 {
        self.0
    }

    /// Whether any of those are among these.
    pub(crate) const fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What a packet says about its segments.
#[derive(Clone, Copy)]
pub(crate) struct Gso {
    /// Of what kind they are, and what is around them.
    pub(crate) types: GsoTypes,
    /// Bytes of payload in each; `GSO_BY_FRAGS`, if each is a fragment of its own.
    pub(crate) size: u16,
}
