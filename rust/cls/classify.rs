// SPDX-License-Identifier: GPL-2.0-only

//! The packet path.

use super::filter::Filter;
use crate::abstractions::{
    bpf::stats_enabled,
    cold_path,
    net::pkt_cls::{
        Action,
        ClassResult,
        TcRun,
        TcSkb,
        Verdict, //
    },
    sync::bottom_half::BhDisabled,
    uapi::TC_H_MAJ_MASK, //
};

/// Returned by a program that classifies: the packet is not the filter's.
const NO_MATCH: i32 = 0;
/// Returned by a program that classifies: the packet is for the filter's class. Other values are
/// the number of a class.
const OWN_CLASS: i32 = -1;

/// Asks the filters one by one until one has a verdict. C: `cls_bpf_classify()`.
#[inline(always)]
pub(super) fn classify<'p, 'a>(
    mut filters: impl Iterator<Item = &'a Filter>,
    mut skb: TcSkb<'p>,
    result: &mut ClassResult,
    bh: &BhDisabled<'_>,
) -> Verdict<'p> {
    while let Some(first) = filters.next() {
        // Programs alone see the packet, until one asks for actions: it is only prepared for them
        // once.
        match ask(first, &mut filters, skb.begin(), result, bh) {
            Asked::Verdict(verdict) => return verdict,
            Asked::Matched(filter, matched) => match filter.exts().exec(bh, matched, result) {
                Ok(verdict) => return verdict,
                Err(back) => skb = back,
            },
        }
    }
    skb.verdict(Action::UNSPEC)
}

/// What programs have decided about a packet.
enum Asked<'p, 'a> {
    /// All of it.
    Verdict(Verdict<'p>),
    /// The class: the actions of the filter decide the rest.
    Matched(&'a Filter, TcSkb<'p>),
}

/// Runs the programs of a filter and of those that follow one by one until one has a verdict, or a
/// class.
#[inline(always)]
fn ask<'p, 'a>(
    mut filter: &'a Filter,
    filters: &mut impl Iterator<Item = &'a Filter>,
    mut run: TcRun<'p>,
    result: &mut ClassResult,
    bh: &BhDisabled<'_>,
) -> Asked<'p, 'a> {
    loop {
        run.set_tc_classid(filter.class().classid() as u16);
        if filter.skip_sw() {
            cold_path();
            run.normalise_tstamp();
            let Some(next) = filters.next() else {
                return Asked::Verdict(run.end().verdict(Action::UNSPEC));
            };
            filter = next;
            continue;
        }
        let (code, mut ran) = run.run(&filter.rule().prog, bh);
        ran.normalise_tstamp();

        if filter.rule().direct_action {
            // Without a verdict nobody looks at the class. C: `cls_bpf_exec_opcode()`.
            if let Some(action) = Action::from_code(code) {
                let major = filter.class().classid() & TC_H_MAJ_MASK;
                result.set_classid(major | u32::from(ran.tc_classid()));
                let skb = ran.end();
                if stats_enabled() {
                    filter.data().hits.count(&skb, Some(action));
                }
                return Asked::Verdict(skb.verdict(action));
            }
        } else {
            cold_path();
            if code != NO_MATCH {
                if code == OWN_CLASS {
                    result.set_class(filter.class());
                } else {
                    result.set_classid(code as u32);
                }
                let skb = ran.end();
                if stats_enabled() && filter.exts().is_empty() {
                    filter.data().hits.count(&skb, None);
                }
                return Asked::Matched(filter, skb);
            }
        }

        let Some(next) = filters.next() else {
            return Asked::Verdict(ran.end().verdict(Action::UNSPEC));
        };
        filter = next;
        run = ran.next();
    }
}
