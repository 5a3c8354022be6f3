// SPDX-License-Identifier: GPL-2.0-only

//! Extack warnings about requests that are valid but probably not what the user meant.
//!
//! A wrong warning is worse than none: doubtful cases get no warning.

use super::{
    filter::Filter,
    BpfClassifier, //
};
use crate::abstractions::{
    bpf::ProgOrigin,
    net::pkt_cls, //
};
use kernel::prelude::*;

type Change<'a> = pkt_cls::Change<'a, BpfClassifier>;

/// Maximum number of filters to compare with, so that the cost of a request does not grow with the
/// number of filters.
const MAX_COMPARED: usize = 16;

/// The minor number of a class ID. C: `TC_H_MIN_MASK`.
const TC_H_MIN_MASK: u32 = 0xffff;

/// Qdiscs that drop a packet whose class ID has the minor number 0. They ignore the major number.
const QDISCS_BY_MINOR: &[&CStr] = &[c"fq_codel", c"sfq"];
/// Qdiscs that drop a packet if its class does not exist.
const QDISCS_BY_CLASS: &[&CStr] = &[c"drr", c"qfq"];

/// Returns a warning about a filter that is about to be added or replaced.
pub(super) fn warning(change: &Change<'_>, new: &Filter) -> Option<&'static CStr> {
    if adds_duplicate(change, new) {
        Some(
            c"another filter with this program was added: replace needs the pref and the handle \
              of the first",
        )
    } else if qdisc_drops_unclassified(change, new) {
        Some(
            c"this qdisc drops packets that the program passes without a class: name one by \
              classid",
        )
    } else {
        None
    }
}

/// Returns whether a request without `NLM_F_EXCL` (`tc filter replace` or `change`) adds a second
/// filter with the same program.
///
/// Without a priority the core allocates a new one, and without a handle the filter gets a free
/// one.
fn adds_duplicate(change: &Change<'_>, new: &Filter) -> bool {
    if change.request_flags.excl || change.old.is_some() {
        return false;
    }
    if !change.request_flags.has_prio {
        change
            .tp
            .any_of_chain(MAX_COMPARED, |other| same_prog(new, other))
    } else {
        change.handle == 0 && change.tp.any(MAX_COMPARED, |other| same_prog(new, other))
    }
}

/// Returns whether two filters have the same program.
///
/// Programs of the same name are the same here: reloading a program gives it a new id.
fn same_prog(new: &Filter, other: &Filter) -> bool {
    if let (Some(new), Some(other)) = (&new.data().name, &other.data().name) {
        if new.as_cstr() == other.as_cstr() {
            return true;
        }
    }
    match (new.rule().prog.origin(), other.rule().prog.origin()) {
        (ProgOrigin::Loaded { id: new, .. }, ProgOrigin::Loaded { id: other, .. }) => new == other,
        (ProgOrigin::Classic(_, new), ProgOrigin::Classic(_, other)) => new == other,
        _ => false,
    }
}

/// Returns whether the qdisc drops every packet that the program accepts, because the packet has no
/// class.
///
/// The return value of a direct-action program is no class: the class is the one of the filter,
/// unless the program sets `tc_classid`.
fn qdisc_drops_unclassified(change: &Change<'_>, new: &Filter) -> bool {
    let classid = new.class().classid();
    // Without RTNL the filter is on clsact, ingress or a shared block.
    if !new.rule().direct_action || classid & TC_H_MIN_MASK != 0 || !change.caller.holds_rtnl() {
        return false;
    }
    // If the program has no verdict, a later filter may set the class.
    let old = change.old.as_deref();
    let is_other = |other: &Filter| !old.is_some_and(|old| core::ptr::eq(old, other));
    if !change.tp.is_last_of_chain() || change.tp.any(2, is_other) {
        return false;
    }
    let rtnl = change.caller.rtnl();
    let may_set = || new.rule().prog.may_set_tc_classid();
    if change.tp.is_in_qdisc(&rtnl, QDISCS_BY_MINOR) {
        !may_set()
    } else if change.tp.is_in_qdisc(&rtnl, QDISCS_BY_CLASS) {
        // `tc_classid` is the minor number only: the major number comes from the filter's class.
        classid == 0 || !may_set()
    } else {
        false
    }
}
