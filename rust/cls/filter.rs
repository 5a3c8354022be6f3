// SPDX-License-Identifier: GPL-2.0-only

//! One filter.

use crate::abstractions::{
    bpf::{
        Prog,
        SchedCls, //
    },
    net::pkt_cls::BoundClass, //
};
use crate::name::ProgName;

/// A direct-action filter: its program's return value is the verdict.
///
/// What the packet path reads comes first.
#[repr(C)]
pub(crate) struct Filter {
    pub(super) prog: Prog<SchedCls>,
    pub(super) class: BoundClass,
    pub(super) handle: u32,
    /// `TCA_CLS_FLAGS_*`.
    pub(super) gen_flags: u32,
    pub(super) name: Option<ProgName>,
}
