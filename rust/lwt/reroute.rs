// SPDX-License-Identifier: GPL-2.0-only

//! A new route for a packet that a program changed.

use crate::abstractions::{
    compat::EAFNOSUPPORT,
    net::{
        dst::{
            Dst,
            DstRef, //
        },
        lwtunnel::{
            Received,
            Sent,
            Verdict, //
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
    fn of(skb: &Skb) -> Result<Self> {
        let [_, tos, _, _, _, _, _, _, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3]: [u8;
            20] = skb.network_header().ok_or(EINVAL)?;
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
    fn of(skb: &Skb) -> Result<Self> {
        let [first, s0, s1, d0, d1]: [u64; 5] = skb.network_header().ok_or(EINVAL)?;
        let [f0, f1, f2, f3, _, _, protocol, _] = first.to_ne_bytes();
        Ok(Self {
            flowinfo: [f0, f1, f2, f3],
            protocol,
            saddr: [s0, s1],
            daddr: [d0, d1],
        })
    }
}

/// Routes a packet on its way in anew, as if it had just come in by the device of its route.
/// C: `bpf_lwt_input_reroute()`.
#[inline(always)]
pub(super) fn input(mut skb: Skb, dst: Dst<'_>) -> Result<Verdict<Received>> {
    let rcu = dst.rcu();
    skb.update_ip_cb(dst.is_inet());
    let found = match skb.protocol_be() {
        ETH_P_IP => Header4::of(&skb).and_then(|header| {
            skb.route_input4(&rcu, dst.dev(), header.tos, header.saddr, header.daddr)
        }),
        ETH_P_IPV6 => skb.route_input6(&rcu),
        _ => Err(EAFNOSUPPORT),
    };
    if let Err(error) = found {
        skb.free(DropReason::NOT_SPECIFIED);
        return Err(error);
    }
    Ok(Verdict::Consumed(route::input(&rcu, skb).ok_or(EINVAL)?))
}

/// Routes a packet on its way out anew. C: `bpf_lwt_xmit_reroute()`.
#[inline(always)]
pub(super) fn xmit(mut skb: Skb, dst: Dst<'_>) -> Result<Verdict<Sent>> {
    let rcu = dst.rcu();
    skb.update_ip_cb(dst.is_inet());
    let found = lookup(&skb, dst).and_then(|found| {
        let new = found.dst(&rcu);
        new.error()?;
        // What was reserved was for the old route. This does nothing if it is enough.
        skb.cow_head(new.dev().ll_reserved_space())?;
        Ok(found)
    });
    match found {
        Ok(found) => Ok(Verdict::Consumed(route::output(&rcu, skb, found))),
        Err(error) => {
            skb.free(DropReason::NOT_SPECIFIED);
            Err(error)
        }
    }
}

#[inline(always)]
fn lookup(skb: &Skb, dst: Dst<'_>) -> Result<DstRef> {
    let protocol = skb.protocol_be();
    if protocol != ETH_P_IP && protocol != ETH_P_IPV6 {
        return Err(EAFNOSUPPORT);
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
        route::output4(&origin, &flow)
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
    }
}
