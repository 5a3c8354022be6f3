// SPDX-License-Identifier: GPL-2.0-only

//! A new route for a packet that a program changed.

use super::{
    counters::Counted,
    exception::Exception, //
};
use crate::abstractions::{
    compat::EAFNOSUPPORT,
    net::{
        dst::{
            Dst,
            DstRef, //
        },
        lwtunnel::{
            Received,
            Sent, //
        },
        route::{
            self,
            Flow4,
            Flow6,
            In6Addr,
            Origin, //
        },
        skbuff::{
            DropReason,
            Skb, //
        }, //
    },
    uapi::{
        ETH_P_IP,
        ETH_P_IPV6, //
    }, //
};
use kernel::prelude::*;

/// What of an IPv4 header a route is looked up by.
struct Header4 {
    tos: u8,
    protocol: u8,
    saddr: [u8; 4],
    daddr: [u8; 4],
}

impl Header4 {
    #[inline(always)]
    fn of(skb: &Skb) -> Result<Self, Exception> {
        let [_, tos, _, _, _, _, _, _, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3]: [u8;
            20] = skb.network_header().ok_or(Exception::truncated())?;
        Ok(Self {
            tos,
            protocol,
            saddr: [s0, s1, s2, s3],
            daddr: [d0, d1, d2, d3],
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
#[inline(always)]
pub(super) fn xmit(mut skb: Skb, dst: Dst<'_>) -> Result<Sent, (Skb, Exception)> {
    let rcu = dst.rcu();
    skb.update_ip_cb(dst.is_inet());
    let found = lookup(&skb, dst).and_then(|found| {
        let new = found.dst(&rcu);
        new.error()
            .map_err(|error| no_route(error, DropReason::IP_OUTNOROUTES))?;
        // What was reserved was for the old route. This does nothing if it is enough.
        skb.cow_head(new.dev().ll_reserved_space())
            .map_err(Exception::no_memory)?;
        Ok(found)
    });
    match found {
        Ok(found) => Ok(route::output(&rcu, skb, found)),
        Err(why) => Err((skb, why)),
    }
}

#[inline(always)]
fn lookup(skb: &Skb, dst: Dst<'_>) -> Result<DstRef, Exception> {
    let protocol = skb.protocol_be();
    if protocol != ETH_P_IP && protocol != ETH_P_IPV6 {
        return Err(unhandled());
    }
    let origin = Origin::of(skb, dst);
    let oif = match origin.bound_ifindex() {
        0 => dst.dev().l3_master_ifindex(&dst.rcu()),
        bound => bound,
    };
    if protocol == ETH_P_IP {
        let header = Header4::of(skb)?;
        let flow = Flow4 {
            oif,
            mark: skb.mark(),
            tos: header.tos,
            protocol: header.protocol,
            saddr: header.saddr,
            daddr: header.daddr,
        };
        route::output4(&origin, &flow).map_err(|error| no_route(error, DropReason::IP_OUTNOROUTES))
    } else {
        let header = Header6::of(skb)?;
        let flow = Flow6 {
            oif,
            mark: skb.mark(),
            flowinfo: header.flowinfo,
            protocol: header.protocol,
            saddr: header.saddr,
            daddr: header.daddr,
        };
        route::output6(&origin, skb, &flow)
            .map_err(|error| no_route(error, DropReason::IP_OUTNOROUTES))
    }
}
