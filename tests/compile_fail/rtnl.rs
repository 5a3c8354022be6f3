// SPDX-License-Identifier: GPL-2.0-only

//! References to what RTNL protects cannot outlive RTNL.

use crate::abstractions::{
    net::{
        netdevice::NetDevice,
        pkt_cls::TcfProto, //
    },
    sync::rtnl::{
        self,
        Rtnl,
        RtnlState, //
    }, //
};
use crate::cls::BpfClassifier;

fn keep_token(caller: &RtnlState) -> &Rtnl {
    &caller.rtnl() //~ E0515
}

fn take_token(caller: &RtnlState) -> Rtnl {
    *caller.rtnl() //~ E0507
}

fn keep_device<'a>(tp: TcfProto<'a, BpfClassifier>, rtnl: &'a Rtnl) -> Option<&'a NetDevice> {
    let mut kept = None;
    tp.all_devices(rtnl, |dev| {
        kept = Some(dev); //~ E0521
        true
    });
    kept
}

fn made_up() -> Rtnl {
    unsafe { Rtnl::assume_held() } //~ unsafe_code
}

fn without(tp: TcfProto<'_, BpfClassifier>) {
    let guard = rtnl::lock();
    let rtnl: &Rtnl = &guard;
    drop(guard); //~ E0505
    tp.keep_dst(rtnl);
}
