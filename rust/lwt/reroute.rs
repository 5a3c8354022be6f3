// SPDX-License-Identifier: GPL-2.0-only

//! `BPF_LWT_REROUTE`: a new route lookup for a packet that a program changed.

use super::{
    counters::Counted,
    exception::Exception,
    route_cache::{
        Note,
        Noted,
        RouteCache, //
    },
    Site, //
};
use crate::abstractions::{
    bpf::LwtXmit,
    compat::EAFNOSUPPORT,
    net::{
        dst::{
            Dst,
            DstRef,
            Found, //
        },
        flow::{
            Flow,
            In6Addr,
            Origin, //
        },
        lwtunnel::{
            Received,
            Sent, //
        },
        route,
        skbuff::{
            DropReason,
            Skb, //
        }, //
    },
    sync::{
        bottom_half::BhDisabled,
        percpu::Taken,
        rcu::ReadSide, //
    },
    time::Tick,
    uapi::{
        ETH_P_IP,
        ETH_P_IPV6, //
    }, //
};
use kernel::prelude::*;

/// The IPv4 header fields that a route lookup uses. Addresses are in network byte order.
struct Header4 {
    tos: u8,
    protocol: u8,
    saddr: u32,
    daddr: u32,
}

impl Header4 {
    #[inline(always)]
    fn of(skb: &Skb) -> Result<Self, Exception> {
        let [first, _, third, saddr, daddr]: [u32; 5] =
            skb.network_header().ok_or(Exception::truncated())?;
        Ok(Self {
            tos: (u32::from_be(first) >> 16) as u8,
            protocol: (u32::from_be(third) >> 16) as u8,
            saddr,
            daddr,
        })
    }
}

/// The IPv6 header fields that a route lookup uses, in network byte order.
struct Header6 {
    /// Version, traffic class and flow label.
    flowinfo: u32,
    protocol: u8,
    saddr: In6Addr,
    daddr: In6Addr,
}

impl Header6 {
    #[inline(always)]
    fn of(skb: &Skb) -> Result<Self, Exception> {
        let [_, s0, s1, d0, d1]: [u64; 5] = skb.network_header().ok_or(Exception::truncated())?;
        let [flowinfo, second]: [u32; 2] = skb.network_header().ok_or(Exception::truncated())?;
        Ok(Self {
            flowinfo,
            protocol: (u32::from_be(second) >> 8) as u8,
            saddr: [s0, s1],
            daddr: [d0, d1],
        })
    }
}

/// Returns the exception for a packet that is neither IPv4 nor IPv6.
#[inline(always)]
const fn unhandled() -> Exception {
    Exception::new(Counted::Protocol, EAFNOSUPPORT, DropReason::UNHANDLED_PROTO)
}

/// Returns the exception for a failed lookup. `error` is `EAFNOSUPPORT` if IPv6 is disabled.
#[inline(always)]
fn no_route(error: Error, reason: DropReason) -> Exception {
    let reason = if error == EAFNOSUPPORT {
        DropReason::IPV6DISABLED
    } else {
        reason
    };
    Exception::new(Counted::NoRoute, error, reason)
}

/// Looks up a new input route, and delivers or forwards the packet by it.
/// C: `bpf_lwt_input_reroute()`.
///
/// The input device is the device of the old route for IPv4, and `skb->dev` for IPv6. On error the
/// caller gets the packet back.
#[inline(always)]
pub(super) fn input(mut skb: Skb, dst: Dst<'_>) -> Result<Received, (Skb, Exception)> {
    let rcu = dst.rcu();
    skb.update_ip_cb(dst.is_inet());
    let found = match skb.protocol_be() {
        ETH_P_IP => Header4::of(&skb).and_then(|header| {
            skb.route_input4(&rcu, dst.dev(), header.tos, header.saddr, header.daddr)
                .map_err(|reason| no_route(EINVAL, reason))
        }),
        ETH_P_IPV6 => skb
            .route_input6(&rcu)
            .map_err(|error| no_route(error, DropReason::IP_INNOROUTES)),
        _ => Err(unhandled()),
    };
    match found {
        Ok(()) => route::input(&rcu, skb)
            .map_err(|skb| (skb, no_route(EINVAL, DropReason::IP_INNOROUTES))),
        Err(why) => Err((skb, why)),
    }
}

/// Looks up a new output route, in the route cache first, and sends the packet by it.
/// C: `bpf_lwt_xmit_reroute()`.
///
/// On error the caller gets the packet back.
///
/// The callees are not inlined: packets that are not rerouted do not pay for the stack frame, and
/// no path pays for the frame of another one.
#[inline(always)]
pub(super) fn xmit(
    bh: &BhDisabled<'_>,
    site: Site<'_, LwtXmit>,
    skb: Skb,
    dst: Dst<'_>,
) -> Result<Sent, (Skb, Exception)> {
    let now = Tick::now();
    let cache = site.extra().map(|extra| &extra.cache);
    match cache.and_then(|cache| Some((cache, cache.note(bh, now)?))) {
        Some((cache, note)) => xmit_by_note(skb, dst, note, now, cache, bh),
        None => xmit_by_lookup(skb, dst),
    }
}

/// Implements [`xmit`] with the note of this CPU. On a miss, falls back to a lookup, and caches its
/// result if the last packet was of the same flow.
#[inline(never)]
fn xmit_by_note(
    mut skb: Skb,
    dst: Dst<'_>,
    note: Taken<'_, Note>,
    now: Tick,
    cache: &RouteCache,
    bh: &BhDisabled<'_>,
) -> Result<Sent, (Skb, Exception)> {
    match find(&skb, dst, ByNote { note, now }) {
        Ok(Noted::Route(noted)) => {
            skb.update_ip_cb(dst.is_inet());
            send(skb, dst, Found::Noted(noted))
        }
        Ok(Noted::SameFlow) => xmit_and_note(skb, dst, now, cache, bh),
        Ok(Noted::OtherFlow) => xmit_by_lookup(skb, dst),
        Err(why) => Err((skb, why)),
    }
}

/// Implements [`xmit`] with a lookup that is not cached.
#[inline(never)]
fn xmit_by_lookup(mut skb: Skb, dst: Dst<'_>) -> Result<Sent, (Skb, Exception)> {
    skb.update_ip_cb(dst.is_inet());
    match find(&skb, dst, ByLookup) {
        Ok(found) => send(skb, dst, Found::Held(found)),
        Err(why) => Err((skb, why)),
    }
}

/// Implements [`xmit`] with a lookup whose result is cached.
#[cold]
#[inline(never)]
fn xmit_and_note(
    mut skb: Skb,
    dst: Dst<'_>,
    now: Tick,
    cache: &RouteCache,
    bh: &BhDisabled<'_>,
) -> Result<Sent, (Skb, Exception)> {
    skb.update_ip_cb(dst.is_inet());
    match find(&skb, dst, AndNote { now, cache, bh }) {
        Ok(found) => send(skb, dst, Found::Held(found)),
        Err(why) => Err((skb, why)),
    }
}

/// Sends a packet by its new route.
#[inline(always)]
fn send(mut skb: Skb, dst: Dst<'_>, found: Found<'_>) -> Result<Sent, (Skb, Exception)> {
    let rcu = dst.rcu();
    // Headroom was reserved for the device of the old route. This is a no-op if it is enough for
    // the new one.
    match skb.cow_head(found.dst(&rcu).dev().ll_reserved_space()) {
        Ok(()) => Ok(route::output(&rcu, skb, found)),
        Err(error) => Err((skb, Exception::no_memory(error))),
    }
}

/// A strategy to find a route: cache, lookup, or lookup and cache.
trait Way<'r> {
    type Route;

    /// Finds the route of a flow. The errno is that of the lookup, or of an error route.
    fn find(
        self,
        rcu: &ReadSide<'r>,
        origin: &Origin<'_>,
        skb: &Skb,
        flow: Flow,
    ) -> Result<Self::Route>;
}

/// Finds the route in the cache.
struct ByNote<'a> {
    note: Taken<'a, Note>,
    now: Tick,
}

impl<'r> Way<'r> for ByNote<'_> {
    type Route = Noted<'r>;

    #[inline(always)]
    fn find(
        self,
        rcu: &ReadSide<'r>,
        origin: &Origin<'_>,
        _skb: &Skb,
        flow: Flow,
    ) -> Result<Noted<'r>> {
        Ok(Note::find(self.note, self.now, rcu, origin, flow))
    }
}

/// Finds the route by a lookup.
struct ByLookup;

impl Way<'_> for ByLookup {
    type Route = DstRef;

    #[inline(always)]
    fn find(
        self,
        _rcu: &ReadSide<'_>,
        origin: &Origin<'_>,
        skb: &Skb,
        flow: Flow,
    ) -> Result<DstRef> {
        flow.look_up(origin, skb)
    }
}

/// Finds the route by a lookup, and caches it.
struct AndNote<'a> {
    now: Tick,
    cache: &'a RouteCache,
    bh: &'a BhDisabled<'a>,
}

impl<'r> Way<'r> for AndNote<'_> {
    type Route = DstRef;

    #[inline(always)]
    fn find(
        self,
        rcu: &ReadSide<'r>,
        origin: &Origin<'_>,
        skb: &Skb,
        flow: Flow,
    ) -> Result<DstRef> {
        let found = flow.look_up(origin, skb)?;
        self.cache
            .set(self.bh, self.now, rcu, origin, &flow, &found);
        Ok(found)
    }
}

/// Reads the IP header, and finds the route by `way`.
///
/// [`resolve`] is instantiated once per family, so that no family pays for the other one's fields.
#[inline(always)]
fn find<'r, W: Way<'r>>(skb: &Skb, dst: Dst<'r>, way: W) -> Result<W::Route, Exception> {
    let found = match skb.protocol_be() {
        ETH_P_IP => {
            let Header4 {
                tos,
                protocol,
                saddr,
                daddr,
            } = Header4::of(skb)?;
            resolve(skb, dst, way, |origin, oif| {
                Flow::v4(origin, oif, skb.mark(), tos, protocol, saddr, daddr)
            })
        }
        ETH_P_IPV6 => {
            let Header6 {
                flowinfo,
                protocol,
                saddr,
                daddr,
            } = Header6::of(skb)?;
            resolve(skb, dst, way, |origin, oif| {
                Flow::v6(origin, oif, skb.mark(), flowinfo, protocol, saddr, daddr)
            })
        }
        _ => return Err(unhandled()),
    };
    found.map_err(|error| no_route(error, DropReason::IP_OUTNOROUTES))
}

/// Builds the flow of a packet, and finds its route by `way`.
#[inline(always)]
fn resolve<'r, W: Way<'r>>(
    skb: &Skb,
    dst: Dst<'r>,
    way: W,
    flow: impl FnOnce(&Origin<'_>, c_int) -> Flow,
) -> Result<W::Route> {
    let rcu = dst.rcu();
    let origin = Origin::of(skb, dst);
    let oif = match origin.bound_ifindex() {
        0 => dst.dev().l3_master_ifindex(&rcu),
        bound => bound,
    };
    way.find(&rcu, &origin, skb, flow(&origin, oif))
}
