// SPDX-License-Identifier: GPL-2.0-only

//! Lightweight tunnels: what a route does to packets besides forwarding them.
//!
//! Implement [`Encap`], name its callbacks with [`encap_entries!`], and hold a [`Registration`].
//!
//! C header: [`include/net/lwtunnel.h`](srctree/include/net/lwtunnel.h)

mod adapter;
mod entries;
mod links;
mod listing;
mod purpose;
mod registration;
mod state;
mod takeover;
mod verdict;

pub(crate) use adapter::Adapter;
pub(crate) use entries::{
    encap_entries,
    raw,
    Entries, //
};
pub(crate) use listing::{
    Directory,
    Record, //
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

/// The address family of the route that is configured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Family(u16);

impl Family {
    /// IPv4.
    pub(crate) const INET: Self = Self(bindings::AF_INET as u16);
    /// IPv6.
    pub(crate) const INET6: Self = Self(bindings::AF_INET6 as u16);

    /// The family of that number (`AF_*`). `None` if it cannot be one.
    pub(crate) fn new(number: c_uint) -> Option<Self> {
        u16::try_from(number).ok().map(Self)
    }
}

/// What the core makes of a configured encapsulation.
pub(crate) struct Built<I> {
    /// Makes the encapsulation where it stays.
    pub(crate) encap: I,
    /// [`Encap::input`] is wanted.
    pub(crate) input: bool,
    /// [`Encap::output`] is wanted.
    pub(crate) output: bool,
    /// [`Encap::xmit`] is wanted.
    pub(crate) xmit: bool,
    /// Bytes that the encapsulation may add to a packet; the route's MTU is lowered by them.
    pub(crate) headroom: u16,
}

/// What a request wants an encapsulation for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new route. [`Encap::same`] says whether the kernel may let it share what it has for
    /// another one.
    Route,
    /// To find an IPv4 route that is to be deleted. [`Encap::same`] says whether this is it.
    Match,
}

/// An encapsulation. C: `struct lwtunnel_encap_ops`.
///
/// A value of the type lives in the tunnel state of each route that has it configured. The hooks
/// run in softirq or process context, inside an RCU read side critical section, with bottom halves off.
#[vtable]
pub(crate) trait Encap: Sized + Send + Sync {
    /// Which slot of the kernel's table it takes (`LWTUNNEL_ENCAP_*`).
    const TYPE: u32;

    /// How the kernel calls the callbacks of its own encapsulation of that type, which this one may
    /// take the slot over from. What one of them writes of itself the other one has to understand.
    const PREDECESSOR: &'static CStr;

    /// Reads a request for a value. C: `build_state`. Process context, but it may not sleep.
    fn build<'a>(
        attr: Attr<'a>,
        family: Family,
        extack: &'a mut ExtAck<'_>,
    ) -> Result<Built<impl Init<Self, Error>>>;

    /// A packet is about to be delivered or forwarded. C: `input`.
    fn input(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Received>>;

    /// A packet is about to be sent, not yet fragmented. C: `output`.
    fn output(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Sent>>;

    /// A packet is about to get its MAC header. C: `xmit`.
    fn xmit(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Xmit;

    /// Writes what [`Self::build`] could read, the headroom with it. C: `fill_encap`. Under RCU.
    fn fill(&self, headroom: u16, message: &mut Message<'_>) -> Result;

    /// Bytes that [`Self::fill`] writes at most. C: `get_encap_size`. Under RCU.
    fn size(&self) -> usize;

    /// Whether a route with `other` is the same route, for this purpose. C: `cmp_encap`. Under RCU.
    fn same(&self, other: &Self, purpose: Purpose) -> bool;
}

/// Whose route a tunnel state was made for.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    /// The namespace.
    pub(crate) net: Inum,
    /// The address family.
    pub(crate) family: Family,
}
