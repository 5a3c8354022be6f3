// SPDX-License-Identifier: GPL-2.0-only

//! Packet path: runs the programs of the filters.

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

/// Return value of a program without direct action: the filter does not match.
const RET_NO_MATCH: i32 = 0;
/// Return value of a program without direct action: the class is the one of the filter. Any other
/// value is a class ID.
const RET_FILTER_CLASS: i32 = -1;

/// Runs the filters in order until one has a verdict. C: `cls_bpf_classify()`.
#[inline(always)]
pub(super) fn classify<'p, 'a>(
    mut filters: impl Iterator<Item = &'a Filter>,
    mut skb: TcSkb<'p>,
    result: &mut ClassResult,
    bh: &BhDisabled<'_>,
) -> Verdict<'p> {
    while let Some(first) = filters.next() {
        // Prepare the packet once for a run of programs. It only has to be restored for actions,
        // and for a verdict.
        match run_filters(first, &mut filters, skb.begin(), result, bh) {
            RunResult::Verdict(verdict) => return verdict,
            RunResult::Matched(filter, matched) => match filter.exts().exec(bh, matched, result) {
                Ok(verdict) => return verdict,
                Err(back) => skb = back,
            },
        }
    }
    skb.verdict(Action::UNSPEC)
}

/// The result of a run of programs.
enum RunResult<'p, 'a> {
    /// The verdict: `TC_ACT_UNSPEC` if no filter has one.
    Verdict(Verdict<'p>),
    /// A filter without direct action matches, and the class is set. Its actions give the verdict;
    /// if they have none, the next filter runs.
    Matched(&'a Filter, TcSkb<'p>),
}

/// Runs the programs of `filter` and of the filters after it until one has a verdict, or a class.
#[inline(always)]
fn run_filters<'p, 'a>(
    mut filter: &'a Filter,
    filters: &mut impl Iterator<Item = &'a Filter>,
    mut run: TcRun<'p>,
    result: &mut ClassResult,
    bh: &BhDisabled<'_>,
) -> RunResult<'p, 'a> {
    loop {
        run.set_tc_classid(filter.class().classid() as u16);
        if filter.skip_sw() {
            cold_path();
            run.normalise_tstamp();
            let Some(next) = filters.next() else {
                return RunResult::Verdict(run.end().verdict(Action::UNSPEC));
            };
            filter = next;
            continue;
        }
        let (code, mut ran) = run.run(&filter.rule().prog, bh);
        ran.normalise_tstamp();

        if filter.rule().direct_action {
            // The class is not used without a verdict. C: `cls_bpf_exec_opcode()`.
            if let Some(action) = Action::from_code(code) {
                let major = filter.class().classid() & TC_H_MAJ_MASK;
                result.set_classid(major | u32::from(ran.tc_classid()));
                let skb = ran.end();
                if stats_enabled() {
                    filter.data().stats.count(&skb, Some(action));
                }
                return RunResult::Verdict(skb.verdict(action));
            }
        } else {
            cold_path();
            if code != RET_NO_MATCH {
                if code == RET_FILTER_CLASS {
                    result.set_class(filter.class());
                } else {
                    result.set_classid(code as u32);
                }
                let skb = ran.end();
                if stats_enabled() && filter.exts().is_empty() {
                    filter.data().stats.count(&skb, None);
                }
                return RunResult::Matched(filter, skb);
            }
        }

        let Some(next) = filters.next() else {
            return RunResult::Verdict(ran.end().verdict(Action::UNSPEC));
        };
        filter = next;
        run = ran.next();
    }
}
