// SPDX-License-Identifier: GPL-2.0-only

//! A verdict consumes its packet, which has one verdict only, and none while it is prepared for
//! programs.

use crate::abstractions::{
    net::pkt_cls::{
        Action,
        ClassResult,
        Exts,
        TcSkb,
        Verdict, //
    },
    sync::bottom_half::BhDisabled, //
};
use core::mem;

fn push_twice(skb: TcSkb<'_>) {
    mem::forget(skb.begin());
    skb.begin(); //~ E0382
}

fn forget_to_end(skb: TcSkb<'_>) -> Verdict<'_> {
    mem::forget(skb.begin());
    skb.verdict(Action::OK) //~ E0382
}

fn begin_within(skb: TcSkb<'_>) {
    skb.begin().begin(); //~ E0599
}

fn keep_after_actions<'a>(
    exts: &Exts<'_>,
    bh: &BhDisabled<'_>,
    skb: TcSkb<'a>,
    result: &mut ClassResult,
) -> Verdict<'a> {
    let _ = exts.exec(bh, skb, result);
    skb.verdict(Action::OK) //~ E0382
}

fn another_verdict<'a, 'b>(_skb: TcSkb<'a>, other: Verdict<'b>) -> Verdict<'a> {
    other //~ "lifetime may not live long enough"
}

fn made_up() -> Action {
    Action(0x2000_0001) //~ E0423
}
