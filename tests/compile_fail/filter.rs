// SPDX-License-Identifier: GPL-2.0-only

//! Filters and their actions cannot outlive the request unless published, and are not moved out of
//! their place.

use crate::abstractions::{
    bpf::TcProg,
    net::{
        netlink::{
            Attrs,
            ExtAck, //
        },
        pkt_cls::{
            BpfRule,
            Change,
            Exts,
            Filter,
            FilterInit,
            NewFilter,
            OffloadDevice, //
        }, //
    }, //
};
use crate::cls::BpfClassifier;
use core::mem;
use kernel::prelude::*;

fn keep_actions<'a>(
    change: &Change<'a, BpfClassifier>,
    attrs: &Attrs<'_, 16>,
    extack: &mut ExtAck<'_>,
) -> Result<Exts<'static>> {
    Exts::parse(change, attrs, 1, 2, extack) //~ "lifetime may not live long enough"
}

fn keep_filter<'a>(
    change: &Change<'a, BpfClassifier>,
    parts: FilterInit<'a, BpfClassifier>,
) -> Result<NewFilter<'static, BpfClassifier>> {
    NewFilter::new(change, parts) //~ "lifetime may not live long enough"
}

fn take_actions<'a>(filter: &'a Filter<BpfClassifier>, other: Exts<'a>) -> Exts<'a> {
    mem::replace(filter.exts(), other) //~ E0308
}

fn take_program(mut entry: NewFilter<'_, BpfClassifier>, other: TcProg) {
    entry.rule().prog = other; //~ E0594
}

fn take_filter(mut entry: NewFilter<'_, BpfClassifier>) -> Filter<BpfClassifier> {
    *entry //~ E0507
}

fn offer_a_program(
    prog: TcProg,
    device: &OffloadDevice<'_, BpfClassifier>,
    extack: &mut ExtAck<'_>,
) {
    let rule = BpfRule {
        prog,
        direct_action: true,
    };
    let _ = rule.hw_replace(device, None, extack); //~ E0599
}
