// SPDX-License-Identifier: GPL-2.0-only

//! The packet path.

use super::filter::Filter;
use crate::abstractions::{
    bpf::RunContext,
    net::pkt_cls::{
        Action,
        ClassResult,
        TcSkb, //
    },
    uapi::TC_H_MAJ_MASK, //
};

/// The verdict that a program's return value stands for. C: `cls_bpf_exec_opcode()`.
#[inline(always)]
pub(crate) fn action(code: i32) -> Action {
    match Action(code) {
        action @ (Action::OK
        | Action::SHOT
        | Action::STOLEN
        | Action::TRAP
        | Action::REDIRECT
        | Action::UNSPEC) => action,
        // An action that only makes sense for tc's own actions, or none at all.
        _ => Action::UNSPEC,
    }
}

/// Asks the filters one by one until one has a verdict. C: `cls_bpf_classify()`.
#[inline(always)]
pub(super) fn classify<'a>(
    filters: impl Iterator<Item = &'a Filter>,
    skb: &mut TcSkb,
    result: &mut ClassResult,
    ctx: &RunContext<'_>,
) -> Action {
    let at_ingress = skb.at_ingress();

    for filter in filters {
        let classid = filter.class.classid();
        skb.set_tc_classid(classid as u16);

        let code = if at_ingress {
            skb.with_mac_header(|skb| filter.prog.run(ctx, skb))
        } else {
            filter.prog.run(ctx, skb.skb())
        };
        skb.normalise_tstamp();

        result.set_classid((classid & TC_H_MAJ_MASK) | u32::from(skb.tc_classid()));
        let action = action(code);
        if action != Action::UNSPEC {
            return action;
        }
    }
    Action::UNSPEC
}
