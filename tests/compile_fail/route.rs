// SPDX-License-Identifier: GPL-2.0-only

//! Routes, devices and namespaces cannot outlive the RCU read side, and results cannot be made up.

use crate::abstractions::{
    net::{
        dst::{
            Dst,
            DstRef, //
        },
        encap::EncapSkb,
        flow::FlowOwner,
        lwtunnel::{
            Received,
            Sent,
            Verdict, //
        },
        netdevice::NetDevice,
        route,
        skbuff::{
            SkBuff,
            Skb, //
        }, //
    },
    sync::rcu::ReadSide, //
};
use core::ffi::c_int;

fn keep_device(dst: Dst<'_>) -> &'static NetDevice {
    dst.dev() //~ "lifetime may not live long enough"
}

fn device_without_rcu(dst: &DstRef) -> c_int {
    dst.dst().dev().l3_master_ifindex() //~ E0061
}

fn device_of_a_route_that_is_given_back<'a>(dst: DstRef, rcu: &'a ReadSide<'_>) -> Dst<'a> {
    dst.dst(rcu) //~ E0515
}

fn origin_beyond_the_route<'a>(skb: &'a SkBuff, dst: Dst<'_>) -> FlowOwner<'a> {
    FlowOwner::of(skb, dst) //~ E0621
}

fn device_beyond_the_push(skb: &mut EncapSkb<'_>) -> Option<&'static NetDevice> {
    skb.dst_dev() //~ "lifetime may not live long enough"
}

fn packet_that_is_gone(rcu: &ReadSide<'_>, skb: Skb) -> Verdict<Received> {
    let _ = route::input(rcu, skb);
    Verdict::Continue(skb) //~ E0382
}

fn result_of_its_own() -> Verdict<Sent> {
    Verdict::Consumed(Sent(0x100)) //~ E0423
}

fn received_of_its_own() -> Received {
    Received(-95) //~ E0423
}

fn result_of_the_other_way(received: Received) -> Verdict<Sent> {
    Verdict::Consumed(received) //~ E0308
}
