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
    /// Not those that only make sense for tc's own actions.
    const VERDICTS: u32 = 1 << Action::OK.0
        | 1 << Action::SHOT.0
        | 1 << Action::STOLEN.0
        | 1 << Action::TRAP.0
        | 1 << Action::REDIRECT.0;

    if (0..u32::BITS as i32).contains(&code) && VERDICTS & (1 << code) != 0 {
        Action(code)
    } else {
        Action::UNSPEC
    }
}

/// Asks the filters one by one until one has a verdict. C: `cls_bpf_classify()`.
#[inline(always)]
pub(super) fn classify<'a>(
    mut filters: impl Iterator<Item = &'a Filter>,
    skb: &mut TcSkb,
    result: &mut ClassResult,
    ctx: &RunContext<'_>,
) -> Action {
    loop {
        // Programs alone see the packet, until one asks for actions: it is only prepared for them
        // once.
        let mut lent = skb.lend(ctx);
        let filter = loop {
            let Some(filter) = filters.next() else {
                return Action::UNSPEC;
            };
            lent.set_tc_classid(filter.class.classid() as u16);

            if filter.skip_sw {
                lent.normalise_tstamp();
                if filter.mode == Mode::DirectAction {
                    result.set_classid(filter.class.classid());
                }
                continue;
            }
            let code = lent.run(&filter.prog);
            lent.normalise_tstamp();

            if filter.mode == Mode::DirectAction {
                let major = filter.class.classid() & TC_H_MAJ_MASK;
                result.set_classid(major | u32::from(lent.tc_classid()));
                let verdict = action(code);
                if !verdict.asks_next() {
                    return verdict;
                }
            } else if code == OWN_CLASS {
                result.set_class(&filter.class);
                break filter;
            } else if code != NO_MATCH {
                result.set_classid(code as u32);
                break filter;
            }
        };
        drop(lent);
        let verdict = filter.actions.exec(ctx, skb, result);
        if !verdict.asks_next() {
            return verdict;
        }
    }
}
