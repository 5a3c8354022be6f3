// SPDX-License-Identifier: GPL-2.0-only

//! Pushed headers: helpers of the suites.

mod header;
mod segments;

use super::*;
use crate::{
    abstractions::{
        compat::EPROTONOSUPPORT,
        net::{
            dst::Dst,
            skbuff::{
                Gso,
                GsoTypes,
                Skb, //
            }, //
        },
        testing::{
            self,
            Headers, //
        }, //
    },
    lwt::BpfEncap, //
};

const MAC_LEN: u16 = 14;
const INNER_LEN: u16 = 20;
const GRE: u8 = 47;
const ESP: u8 = 50;
const DIRECTIONS: [Direction; 2] = [Direction::Ingress, Direction::Egress];

/// Returns an IPv4 header with `options` bytes of options, followed by `rest`.
fn v4(protocol: u8, options: usize, rest: &[u8]) -> Result<KVec<u8>> {
    let mut header = KVec::from_elem(1, IPV4_LEN + options, GFP_ATOMIC)?;
    header[0] = 0x45 + (options / 4) as u8;
    header[IPV4_PROTOCOL] = protocol;
    header[IPV4_CHECK].fill(0);
    header.extend_from_slice(rest, GFP_ATOMIC)?;
    Ok(header)
}

/// Returns an IPv6 header, followed by `rest`.
fn v6(next: u8, rest: &[u8]) -> Result<KVec<u8>> {
    let mut header = KVec::from_elem(1, IPV6_LEN, GFP_ATOMIC)?;
    header[0] = 0x60;
    header[IPV6_NEXTHDR] = next;
    header.extend_from_slice(rest, GFP_ATOMIC)?;
    Ok(header)
}

/// Runs `f` on a received IPv4 packet and its route.
fn with_packet(f: impl FnOnce(&mut Skb, Dst<'_>) -> Result) -> Result {
    testing::with_dst(|dst| {
        let mut skb = testing::lone_skb(80)?;
        skb.enter_lwt(ETH_P_IP, MAC_LEN, INNER_LEN, dst);
        skb.set_dst(Some(dst));
        f(&mut skb, dst)
    })?
}

fn push(skb: &mut Skb, header: &[u8], direction: Direction) -> Result {
    testing::push::<BpfEncap>(skb, header, direction)
}
