// SPDX-License-Identifier: GPL-2.0-only

//! A new route for a packet that a program changed.

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

/// What of an IPv4 header a route is looked up by. Addresses are in network byte order.
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

/// What of an IPv6 header a route is looked up by. All is in network byte order.
struct Header6 {
    /// Traffic class and flow label, and the version besides.
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

/// Nobody routes packets of that protocol.
#[inline(always)]
const fn unhandled() -> Exception {
    Exception::new(Counted::Protocol, EAFNOSUPPORT, DropReason::UNHANDLED_PROTO)
}

/// There is no route. A kernel without IPv6 says so in `error`.
#[inline(always)]
fn no_route(error: Error, reason: DropReason) -> Exception {
    let reason = if error == EAFNOSUPPORT {
        DropReason::IPV6DISABLED
    } else {
        reason
    };
    Exception::new(Counted::NoRoute, error, reason)
}

/// Routes a packet on its way in anew, as if it had just come in by the device of its route. Gives
/// it back if that cannot be. C: `bpf_lwt_input_reroute()`.
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

/// Routes a packet on its way out anew. Gives it back if that cannot be.
/// C: `bpf_lwt_xmit_reroute()`.
///
/// What it calls is not inlined, so that packets that go on as they are do not pay for its stack frame,
/// and no packet for what another one needs.
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

/// As [`xmit`], by what this CPU has noted, if it has.
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

/// As [`xmit`], by a lookup.
#[inline(never)]
fn xmit_by_lookup(mut skb: Skb, dst: Dst<'_>) -> Result<Sent, (Skb, Exception)> {
    skb.update_ip_cb(dst.is_inet());
    match find(&skb, dst, ByLookup) {
        Ok(found) => send(skb, dst, Found::Held(found)),
        Err(why) => Err((skb, why)),
    }
}

/// As [`xmit`], by a lookup, whose result is noted.
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

/// Puts a packet on its new route.
#[inline(always)]
fn send(mut skb: Skb, dst: Dst<'_>, found: Found<'_>) -> Result<Sent, (Skb, Exception)> {
    let rcu = dst.rcu();
    // What was reserved was for the old route. This does nothing if it is enough.
    match skb.cow_head(found.dst(&rcu).dev().ll_reserved_space()) {
        Ok(()) => Ok(route::output(&rcu, skb, found)),
        Err(error) => Err((skb, Exception::no_memory(error))),
    }
}

/// A way to a route.
trait Way<'r> {
    type Route;

    /// The errno is that of a lookup, or of a route that leads nowhere.
    fn find(
        self,
        rcu: &ReadSide<'r>,
        origin: &Origin<'_>,
        skb: &Skb,
        flow: Flow,
    ) -> Result<Self::Route>;
}

/// Asks the note.
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

/// Looks the route up.
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

/// Looks the route up, and notes it.
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

/// Reads the header, and asks `way` for the route. Once for each family: what the other one has
/// besides costs nothing then.
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

/// Makes the flow, and asks `way` for its route.
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
