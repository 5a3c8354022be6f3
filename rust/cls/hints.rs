// SPDX-License-Identifier: GPL-2.0-only

//! Warnings about requests that do as they say, and hardly what was meant.
//!
//! A warning that is wrong is worse than none: what cannot be told for certain is passed over.

use super::{
    filter::Filter,
    BpfClassifier, //
};
use crate::abstractions::{
    bpf::Origin,
    net::pkt_cls, //
};
use kernel::prelude::*;

type Change<'a> = pkt_cls::Change<'a, BpfClassifier>;

/// How many filters are looked at: what a request costs must not grow with their number.
const MOST: usize = 16;

/// Bits of a class that number it within its qdisc. C: `TC_H_MIN_MASK`.
const MINOR: u32 = 0xffff;

/// Qdiscs that drop a packet whose class has no minor number. They do not look at the major one.
const BY_MINOR: &[&CStr] = &[c"fq_codel", c"sfq"];
/// Qdiscs that drop a packet of a class that they do not have.
const BY_CLASS: &[&CStr] = &[c"drr", c"qfq"];

/// What the user should know about a filter that is about to be added or replaced.
pub(super) fn hint(change: &Change<'_>, new: &Filter) -> Option<&'static CStr> {
    if is_second(change, new) {
        Some(
            c"another filter with this program was added: replace needs the pref and the handle \
              of the first",
        )
    } else if is_dropped(change, new) {
        Some(
            c"this qdisc drops packets that the program passes without a class: name one by \
              classid",
        )
    } else {
        None
    }
}

/// Whether a filter is added by a request that does not ask for a new one, next to one with the same
/// program: without a priority the core makes up a new one, and without a handle the filter gets one
/// that is free.
fn is_second(change: &Change<'_>, new: &Filter) -> bool {
    if change.manner.exclusive || change.old.is_some() {
        return false;
    }
    if !change.manner.names_priority {
        change.tp.any_of_chain(MOST, |other| is_same(new, other))
    } else {
        change.handle == 0 && change.tp.any(MOST, |other| is_same(new, other))
    }
}

/// Whether two filters have the same program, or one of the same name: a program that is loaded
/// again is another one to the kernel.
fn is_same(new: &Filter, other: &Filter) -> bool {
    if let (Some(new), Some(other)) = (&new.data().name, &other.data().name) {
        if new.as_cstr() == other.as_cstr() {
            return true;
        }
    }
    match (new.rule().prog.origin(), other.rule().prog.origin()) {
        (Origin::Loaded { id: new, .. }, Origin::Loaded { id: other, .. }) => new == other,
        (Origin::Classic(_, new), Origin::Classic(_, other)) => new == other,
        _ => false,
    }
}

/// Whether the qdisc drops each packet for which the program has the verdict to go on: a
/// direct-action program names no class by its return value.
fn is_dropped(change: &Change<'_>, new: &Filter) -> bool {
    let classid = new.class().classid();
    // Without RTNL it is clsact, or ingress.
    if !new.rule().direct_action || classid & MINOR != 0 || !change.caller.holds_rtnl() {
        return false;
    }
    // A program without a verdict leaves the class to the filters behind it.
    let old = change.old.as_deref();
    let is_other = |other: &Filter| !old.is_some_and(|old| core::ptr::eq(old, other));
    if !change.tp.is_last_of_chain() || change.tp.any(2, is_other) {
        return false;
    }
    let rtnl = change.caller.rtnl();
    let may_set = || new.rule().prog.may_set_tc_classid();
    if change.tp.is_in_qdisc(&rtnl, BY_MINOR) {
        !may_set()
    } else if change.tp.is_in_qdisc(&rtnl, BY_CLASS) {
        // The program sets the minor number alone.
        classid == 0 || !may_set()
    } else {
        false
    }
}
