// SPDX-License-Identifier: GPL-2.0-only

//! The packet path.

use super::filter::{
    Filter,
    Mode, //
};
use crate::abstractions::{
    bpf::RunContext,
    net::pkt_cls::{
        Action,
        ClassResult,
        TcSkb, //
    },
    uapi::TC_H_MAJ_MASK, //
};

/// Returned by a program that classifies: the packet is not the filter's.
const NO_MATCH: i32 = 0;
/// Returned by a program that classifies: the packet is for the filter's class. Other values are
/// the number of a class.
const OWN_CLASS: i32 = -1;

/// The verdict that a program's return value stands for, in direct action.
/// C: `cls_bpf_exec_opcode()`.
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

        let code = if filter.skip_sw {
            match filter.mode {
                Mode::DirectAction => Action::UNSPEC.0,
                Mode::Classify => NO_MATCH,
            }
        } else if at_ingress {
            skb.with_mac_header(|skb| filter.prog.run(ctx, skb))
        } else {
            filter.prog.run(ctx, skb.skb())
        };
        skb.normalise_tstamp();

        let verdict = match filter.mode {
            Mode::DirectAction => {
                result.set_classid((classid & TC_H_MAJ_MASK) | u32::from(skb.tc_classid()));
                action(code)
            }
            Mode::Classify => {
                match code {
                    NO_MATCH => continue,
                    OWN_CLASS => result.set_class(&filter.class),
                    classid => result.set_classid(classid as u32),
                }
                filter.actions.exec(ctx, skb, result)
            }
        };
        if !verdict.asks_next() {
            return verdict;
        }
    }
    Action::UNSPEC
}
