// SPDX-License-Identifier: GPL-2.0-only

//! `BPF_LWT_REROUTE`: a new route lookup for a packet that a program changed.

use super::{
    counters::Event,
    ip_key::{
        Ipv4Key,
        Ipv6Key, //
    },
    packet_drop::PacketDrop,
    route_cache::{
        CacheEntry,
        CacheResult,
        RouteCache, //
    },
    HookCtx, //
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
            FlowOwner, //
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
        percpu::CpuGuard,
        rcu::ReadSide, //
    },
    time::Jiffy,
    uapi::{
        ETH_P_IP,
        ETH_P_IPV6, //
    }, //
};
use kernel::prelude::*;

/// Returns the drop for a packet that is neither IPv4 nor IPv6.
#[inline(always)]
const fn unhandled_proto() -> PacketDrop {
    PacketDrop::new(Event::Protocol, EAFNOSUPPORT, DropReason::UNHANDLED_PROTO)
}

/// Returns the drop for a failed lookup. `error` is `EAFNOSUPPORT` if IPv6 is disabled.
#[inline(always)]
fn no_route(error: Error, reason: DropReason) -> PacketDrop {
    let reason = if error == EAFNOSUPPORT {
        DropReason::IPV6DISABLED
    } else {
        reason
    };
    PacketDrop::new(Event::NoRoute, error, reason)
}

/// Looks up a new input route, and delivers or forwards the packet by it.
/// C: `bpf_lwt_input_reroute()`.
///
/// The input device is the device of the old route for IPv4, and `skb->dev` for IPv6. On error the
/// caller gets the packet back.
#[inline(always)]
pub(super) fn input(mut skb: Skb, dst: Dst<'_>) -> Result<Received, (Skb, PacketDrop)> {
    let rcu = dst.rcu();
    skb.update_ip_cb(dst.is_inet());
    let found = match skb.protocol_be() {
        ETH_P_IP => Ipv4Key::from_skb(&skb).and_then(|header| {
            skb.route_input4(&rcu, dst.dev(), header.tos, header.saddr, header.daddr)
                .map_err(|reason| no_route(EINVAL, reason))
        }),
        ETH_P_IPV6 => skb
            .route_input6(&rcu)
            .map_err(|error| no_route(error, DropReason::IP_INNOROUTES)),
        _ => Err(unhandled_proto()),
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
/// The callees are not inlined: each path allocates only its own stack frame, and packets that are
/// not rerouted none.
#[inline(always)]
pub(super) fn xmit(
    bh: &BhDisabled<'_>,
    cx: HookCtx<'_, LwtXmit>,
    skb: Skb,
    dst: Dst<'_>,
) -> Result<Sent, (Skb, PacketDrop)> {
    let now = Jiffy::now();
    let cache = cx.state().map(|state| &state.cache);
    match cache.and_then(|cache| Some((cache, cache.entry(bh, now)?))) {
        Some((cache, entry)) => xmit_cached(skb, dst, entry, now, cache, bh),
        None => xmit_lookup(skb, dst),
    }
}

/// Implements [`xmit`] with the entry of this CPU. On a miss, falls back to a lookup, and caches
/// its result if the last packet was of the same flow.
#[inline(never)]
fn xmit_cached(
    mut skb: Skb,
    dst: Dst<'_>,
    entry: CpuGuard<'_, CacheEntry>,
    now: Jiffy,
    cache: &RouteCache,
    bh: &BhDisabled<'_>,
) -> Result<Sent, (Skb, PacketDrop)> {
    match find(&skb, dst, FromCache { entry, now }) {
        Ok(CacheResult::Hit(cached)) => {
            skb.update_ip_cb(dst.is_inet());
            output(skb, dst, Found::NoRef(cached))
        }
        Ok(CacheResult::Stale) => xmit_lookup_and_cache(skb, dst, now, cache, bh),
        Ok(CacheResult::Miss) => xmit_lookup(skb, dst),
        Err(why) => Err((skb, why)),
    }
}

/// Implements [`xmit`] with a lookup that is not cached.
#[inline(never)]
fn xmit_lookup(mut skb: Skb, dst: Dst<'_>) -> Result<Sent, (Skb, PacketDrop)> {
    skb.update_ip_cb(dst.is_inet());
    match find(&skb, dst, FromLookup) {
        Ok(found) => output(skb, dst, Found::Held(found)),
        Err(why) => Err((skb, why)),
    }
}

/// Implements [`xmit`] with a lookup whose result is cached.
#[cold]
#[inline(never)]
fn xmit_lookup_and_cache(
    mut skb: Skb,
    dst: Dst<'_>,
    now: Jiffy,
    cache: &RouteCache,
    bh: &BhDisabled<'_>,
) -> Result<Sent, (Skb, PacketDrop)> {
    skb.update_ip_cb(dst.is_inet());
    match find(&skb, dst, FromLookupAndCache { now, cache, bh }) {
        Ok(found) => output(skb, dst, Found::Held(found)),
        Err(why) => Err((skb, why)),
    }
}

/// Sends a packet by its new route.
#[inline(always)]
fn output(mut skb: Skb, dst: Dst<'_>, found: Found<'_>) -> Result<Sent, (Skb, PacketDrop)> {
    let rcu = dst.rcu();
    // Headroom was reserved for the device of the old route. This is a no-op if it is enough for
    // the new one.
    match skb.cow_head(found.dst(&rcu).dev().ll_reserved_space()) {
        Ok(()) => Ok(route::output(&rcu, skb, found)),
        Err(error) => Err((skb, PacketDrop::no_memory(error))),
    }
}

/// A strategy to find a route: cache, lookup, or lookup and cache.
trait RouteSource<'r> {
    type Route;

    /// Finds the route of a flow. The errno is that of the lookup, or of an error route.
    fn find(
        self,
        rcu: &ReadSide<'r>,
        owner: &FlowOwner<'_>,
        skb: &Skb,
        flow: Flow,
    ) -> Result<Self::Route>;
}

/// Finds the route in the cache.
struct FromCache<'a> {
    entry: CpuGuard<'a, CacheEntry>,
    now: Jiffy,
}

impl<'r> RouteSource<'r> for FromCache<'_> {
    type Route = CacheResult<'r>;

    #[inline(always)]
    fn find(
        self,
        rcu: &ReadSide<'r>,
        owner: &FlowOwner<'_>,
        _skb: &Skb,
        flow: Flow,
    ) -> Result<CacheResult<'r>> {
        Ok(CacheEntry::find(self.entry, self.now, rcu, owner, flow))
    }
}

/// Finds the route by a lookup.
struct FromLookup;

impl RouteSource<'_> for FromLookup {
    type Route = DstRef;

    #[inline(always)]
    fn find(
        self,
        _rcu: &ReadSide<'_>,
        owner: &FlowOwner<'_>,
        skb: &Skb,
        flow: Flow,
    ) -> Result<DstRef> {
        flow.lookup(owner, skb)
    }
}

/// Finds the route by a lookup, and caches it.
struct FromLookupAndCache<'a> {
    now: Jiffy,
    cache: &'a RouteCache,
    bh: &'a BhDisabled<'a>,
}

impl<'r> RouteSource<'r> for FromLookupAndCache<'_> {
    type Route = DstRef;

    #[inline(always)]
    fn find(
        self,
        rcu: &ReadSide<'r>,
        owner: &FlowOwner<'_>,
        skb: &Skb,
        flow: Flow,
    ) -> Result<DstRef> {
        let found = flow.lookup(owner, skb)?;
        self.cache.set(self.bh, self.now, rcu, owner, &flow, &found);
        Ok(found)
    }
}

/// Reads the IP header, and finds the route by `source`.
///
/// [`resolve`] is instantiated once per family, so that each initialises only its own fields.
#[inline(always)]
fn find<'r, S: RouteSource<'r>>(
    skb: &Skb,
    dst: Dst<'r>,
    source: S,
) -> Result<S::Route, PacketDrop> {
    let found = match skb.protocol_be() {
        ETH_P_IP => {
            let Ipv4Key {
                tos,
                protocol,
                saddr,
                daddr,
            } = Ipv4Key::from_skb(skb)?;
            resolve(skb, dst, source, |owner, oif| {
                Flow::v4(owner, oif, skb.mark(), tos, protocol, saddr, daddr)
            })
        }
        ETH_P_IPV6 => {
            let Ipv6Key {
                flowinfo,
                protocol,
                saddr,
                daddr,
            } = Ipv6Key::from_skb(skb)?;
            resolve(skb, dst, source, |owner, oif| {
                Flow::v6(owner, oif, skb.mark(), flowinfo, protocol, saddr, daddr)
            })
        }
        _ => return Err(unhandled_proto()),
    };
    found.map_err(|error| no_route(error, DropReason::IP_OUTNOROUTES))
}

/// Builds the flow of a packet, and finds its route by `source`.
#[inline(always)]
fn resolve<'r, S: RouteSource<'r>>(
    skb: &Skb,
    dst: Dst<'r>,
    source: S,
    flow: impl FnOnce(&FlowOwner<'_>, c_int) -> Flow,
) -> Result<S::Route> {
    let rcu = dst.rcu();
    let owner = FlowOwner::of(skb, dst);
    let oif = match owner.bound_ifindex() {
        0 => dst.dev().l3_master_ifindex(&rcu),
        bound => bound,
    };
    source.find(&rcu, &owner, skb, flow(&owner, oif))
}
