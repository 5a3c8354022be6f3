// SPDX-License-Identifier: GPL-2.0-only

//! One filter.

use super::{
    hits::Hits,
    BpfClassifier, //
};
use crate::abstractions::net::pkt_cls;
use crate::name::ProgName;

/// A filter.
pub(super) type Filter = pkt_cls::Filter<BpfClassifier>;

/// What a filter's program decides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Its return value is the verdict.
    DirectAction,
    /// Its return value is a class, and the actions are the verdict.
    Classify,
}

/// What is kept of a filter besides.
pub(crate) struct Data {
    /// What the user calls the program.
    pub(super) name: Option<ProgName>,
    /// What it did.
    pub(super) hits: Hits,
}
