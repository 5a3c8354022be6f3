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
        Lent,
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

/// What the filters say, as far as they were asked.
enum Answer<'a> {
    /// This, and the others are not asked.
    Verdict(Action),
    /// The actions of this filter decide.
    Match(&'a Filter),
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
        let filter = match ask(&mut filters, skb.lend(ctx), result) {
            Answer::Verdict(verdict) => return verdict,
            Answer::Match(filter) => filter,
        };
        let verdict = filter.actions.exec(ctx, skb, result);
        if !verdict.asks_next() {
            return verdict;
        }
    }
}

/// Asks filters until one has a verdict, or actions that have one. Programs alone see the packet
/// meanwhile, so that it is only prepared for them once.
#[inline(always)]
fn ask<'a>(
    filters: &mut impl Iterator<Item = &'a Filter>,
    mut skb: Lent<'_>,
    result: &mut ClassResult,
) -> Answer<'a> {
    for filter in filters {
        let classid = filter.class.classid();
        skb.set_tc_classid(classid as u16);

        let code = if filter.skip_sw {
            match filter.mode {
                Mode::DirectAction => Action::UNSPEC.0,
                Mode::Classify => NO_MATCH,
            }
        } else {
            skb.run(&filter.prog)
        };
        skb.normalise_tstamp();

        match filter.mode {
            Mode::DirectAction => {
                result.set_classid((classid & TC_H_MAJ_MASK) | u32::from(skb.tc_classid()));
                let verdict = action(code);
                if !verdict.asks_next() {
                    return Answer::Verdict(verdict);
                }
            }
            Mode::Classify => {
                match code {
                    NO_MATCH => continue,
                    OWN_CLASS => result.set_class(&filter.class),
                    classid => result.set_classid(classid as u32),
                }
                return Answer::Match(filter);
            }
        }
    }
    Answer::Verdict(Action::UNSPEC)
}
