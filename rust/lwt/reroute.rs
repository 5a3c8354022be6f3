// SPDX-License-Identifier: GPL-2.0-only

//! A new route for a packet that a program changed.

use super::{
    counters::Counted,
    exception::Exception,
    Site, //
};
use crate::abstractions::{
    bpf::LwtXmit,
    compat::EAFNOSUPPORT,
    net::{
        dst::{
            Dst,
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
        rcu::ReadSide, //
    },
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
        let [_, tos, _, _] = first.to_ne_bytes();
        let [_, protocol, _, _] = third.to_ne_bytes();
        Ok(Self {
            tos,
            protocol,
            saddr,
            daddr,
        })
    }
}

/// What of an IPv6 header a route is looked up by.
struct Header6 {
    flowinfo: [u8; 4],
    protocol: u8,
    saddr: In6Addr,
    daddr: In6Addr,
}

impl Header6 {
    #[inline(always)]
    fn of(skb: &Skb) -> Result<Self, Exception> {
        let [first, s0, s1, d0, d1]: [u64; 5] =
            skb.network_header().ok_or(Exception::truncated())?;
        let [f0, f1, f2, f3, _, _, protocol, _] = first.to_ne_bytes();
        Ok(Self {
            flowinfo: [f0, f1, f2, f3],
            protocol,
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
/// Not inlined, so that packets that go on as they are do not pay for its stack frame.
#[inline(never)]
pub(super) fn xmit(
    bh: &BhDisabled<'_>,
    site: Site<'_, LwtXmit>,
    mut skb: Skb,
    dst: Dst<'_>,
) -> Result<Sent, (Skb, Exception)> {
    let rcu = dst.rcu();
    skb.update_ip_cb(dst.is_inet());
    let found = find(bh, site, &skb, dst).and_then(|found| {
        // What was reserved was for the old route. This does nothing if it is enough.
        skb.cow_head(found.dst(&rcu).dev().ll_reserved_space())
            .map_err(Exception::no_memory)?;
        Ok(found)
    });
    match found {
        Ok(found) => Ok(route::output(&rcu, skb, found)),
        Err(why) => Err((skb, why)),
    }
}

#[inline(always)]
fn find<'a>(
    bh: &BhDisabled<'_>,
    site: Site<'_, LwtXmit>,
    skb: &Skb,
    dst: Dst<'a>,
) -> Result<Found<'a>, Exception> {
    let rcu = dst.rcu();
    let protocol = skb.protocol_be();
    if protocol != ETH_P_IP && protocol != ETH_P_IPV6 {
        return Err(unhandled());
    }
    let origin = Origin::of(skb, dst);
    let oif = match origin.bound_ifindex() {
        0 => dst.dev().l3_master_ifindex(&rcu),
        bound => bound,
    };
    // Once for each family: what the other one has besides costs nothing then.
    let found = if protocol == ETH_P_IP {
        let Header4 {
            tos,
            protocol,
            saddr,
            daddr,
        } = Header4::of(skb)?;
        let flow = Flow::v4(&origin, oif, skb.mark(), tos, protocol, saddr, daddr);
        site.look_up(bh, &rcu, &origin, skb, flow)
    } else {
        let Header6 {
            flowinfo,
            protocol,
            saddr,
            daddr,
        } = Header6::of(skb)?;
        let flow = Flow::v6(&origin, oif, skb.mark(), flowinfo, protocol, saddr, daddr);
        site.look_up(bh, &rcu, &origin, skb, flow)
    };
    found.map_err(|error| no_route(error, DropReason::IP_OUTNOROUTES))
}

impl Site<'_, LwtXmit> {
    /// The errno is that of the lookup, or of a route that leads nowhere.
    #[inline(always)]
    fn look_up<'a>(
        self,
        bh: &BhDisabled<'_>,
        rcu: &ReadSide<'a>,
        origin: &Origin<'_>,
        skb: &Skb,
        flow: Flow,
    ) -> Result<Found<'a>> {
        match self.extra() {
            Some(extra) => extra.cache.find(bh, rcu, origin, skb, flow),
            None => flow.look_up(origin, skb).map(Found::Held),
        }
    }
}
