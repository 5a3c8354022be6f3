// SPDX-License-Identifier: GPL-2.0-only

//! Lightweight tunnels: encapsulation as a property of a route.
//!
//! Implement [`Encap`], name its callbacks with [`encap_ops!`], and hold a [`Registration`].
//!
//! C header: [`include/net/lwtunnel.h`](srctree/include/net/lwtunnel.h)

mod adapter;
mod debugfs;
mod entries;
mod links;
mod purpose;
mod registration;
mod state;
mod takeover;
mod verdict;

pub(crate) use adapter::Adapter;
pub(crate) use debugfs::{
    DebugfsDir,
    StateFile, //
};
pub(crate) use entries::{
    encap_ops,
    raw,
    Ops, //
};
pub(crate) use registration::{
    Registration,
    Unavailable, //
};
pub(crate) use verdict::{
    Received,
    Sent,
    Verdict,
    Xmit, //
};

use super::{
    dst::Dst,
    namespace::Inum,
    netlink::{
        Attr,
        ExtAck,
        Message, //
    },
    skbuff::Skb, //
};
use crate::abstractions::{
    bindings,
    sync::bottom_half::BhDisabled, //
};
use kernel::prelude::*;

/// The address family of a route.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Family(u16);

impl Family {
    /// IPv4.
    pub(crate) const INET: Self = Self(bindings::AF_INET as u16);
    /// IPv6.
    pub(crate) const INET6: Self = Self(bindings::AF_INET6 as u16);

    /// Converts from `AF_*`. Returns `None` if `number` is too large for an address family.
    pub(crate) fn new(number: c_uint) -> Option<Self> {
        u16::try_from(number).ok().map(Self)
    }
}

/// The result of [`Encap::build`], from which the tunnel state is built.
pub(crate) struct EncapConfig<I> {
    /// The initialiser of the encapsulation, which runs in place.
    pub(crate) encap: I,
    /// Whether the core calls [`Encap::input`].
    pub(crate) input: bool,
    /// Whether the core calls [`Encap::output`].
    pub(crate) output: bool,
    /// Whether the core calls [`Encap::xmit`].
    pub(crate) xmit: bool,
    /// Bytes that the encapsulation may add to a packet. The MTU of the route is reduced by them.
    pub(crate) headroom: u16,
}

/// Why a request builds a tunnel state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// For a new route. [`Encap::same`] says whether the route may share the nexthop of an existing
    /// one.
    NewRoute,
    /// To find an IPv4 route that is to be deleted. [`Encap::same`] says whether this is the route.
    DelRoute,
}

/// An encapsulation. C: `struct lwtunnel_encap_ops`.
///
/// The tunnel state of each route with this encapsulation contains a value of the type. The hooks
/// run in softirq or process context, inside an RCU read-side critical section, with bottom halves
/// off.
#[vtable]
pub(crate) trait Encap: Sized + Send + Sync {
    /// The encapsulation type (`LWTUNNEL_ENCAP_*`), which selects the slot in the kernel's table.
    const TYPE: u32;

    /// The symbol name of the kernel's built-in `struct lwtunnel_encap_ops` of this type, whose
    /// slot this encapsulation may take over. Each of the two must understand the attributes that
    /// the other one dumps.
    const BUILTIN_OPS: &'static CStr;

    /// Parses a request. C: `build_state`. Process context, but must not sleep.
    fn build<'a>(
        attr: Attr<'a>,
        family: Family,
        extack: &'a mut ExtAck<'_>,
    ) -> Result<EncapConfig<impl Init<Self, Error>>>;

    /// Handles a packet that is about to be delivered or forwarded. C: `input`.
    fn input(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Received>>;

    /// Handles a packet that is about to be sent, before fragmentation. C: `output`.
    fn output(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Sent>>;

    /// Handles a packet that is about to get its MAC header. C: `xmit`.
    fn xmit(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Xmit;

    /// Dumps the encapsulation, with the headroom, in attributes that [`Self::build`] can parse.
    /// C: `fill_encap`. Under RCU.
    fn fill(&self, headroom: u16, message: &mut Message<'_>) -> Result;

    /// Returns the maximum number of bytes that [`Self::fill`] writes. C: `get_encap_size`. Under
    /// RCU.
    fn size(&self) -> usize;

    /// Returns whether `other` counts as the same encapsulation, for `purpose`.
    /// C: `cmp_encap`. Under RCU.
    fn same(&self, other: &Self, purpose: Purpose) -> bool;
}

/// The namespace and the address family of the route that a tunnel state was built for.
#[derive(Clone, Copy)]
pub(crate) struct RouteOwner {
    /// The namespace.
    pub(crate) net: Inum,
    /// The address family.
    pub(crate) family: Family,
}
