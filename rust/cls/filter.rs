// SPDX-License-Identifier: GPL-2.0-only

//! The classifier's filters.

use super::{
    stats::FilterStats,
    BpfClassifier, //
};
use crate::abstractions::net::pkt_cls;
use crate::name::ProgName;

/// A filter of the `bpf` classifier. C: `struct cls_bpf_prog`.
pub(super) type Filter = pkt_cls::Filter<BpfClassifier>;

/// The meaning of the return value of a filter's program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is the verdict (`TC_ACT_*`).
    DirectAction,
    /// It is the class, and the filter's actions give the verdict.
    Classify,
}

/// The classifier's private data of a filter.
pub(crate) struct Data {
    /// The name of the program, if userspace gave it one.
    pub(super) name: Option<ProgName>,
    /// Hit counters.
    pub(super) stats: FilterStats,
}
