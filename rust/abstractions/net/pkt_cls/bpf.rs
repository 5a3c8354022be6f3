// SPDX-License-Identifier: GPL-2.0-only

//! Filters whose rule is a BPF program.

use super::{
    exts::Exts,
    offload::{
        OffloadCmd,
        Rule, //
    }, //
};
use crate::abstractions::{
    bindings,
    bpf::TcProg, //
};
use core::ptr;
use kernel::prelude::*;

/// A program, and how its return value is used. In this order both are in the first cache line of a
/// filter.
#[repr(C)]
pub(crate) struct BpfRule {
    /// Whether the return value is a verdict (direct action) and not a class.
    pub(crate) direct_action: bool,
    /// The program to run on packets.
    pub(crate) prog: TcProg,
}

// SAFETY: Drivers only keep the program, whose reference `leak` keeps.
unsafe impl Rule for BpfRule {
    const SETUP: bindings::tc_setup_type = bindings::TC_SETUP_CLSBPF;

    type Command = bindings::tc_cls_bpf_offload;

    fn command(
        cmd: OffloadCmd<'_, Self>,
        common: bindings::flow_cls_common_offload,
        exts: &Exts<'_>,
        name: Option<&CStr>,
    ) -> Self::Command {
        let prog = |rule: Option<&Self>| rule.map_or(ptr::null_mut(), |rule| rule.prog.as_ptr());
        let (rule, command, new, old) = match cmd {
            OffloadCmd::Replace { new, old } => (
                new,
                bindings::tc_clsbpf_command_TC_CLSBPF_OFFLOAD,
                Some(new),
                old,
            ),
            OffloadCmd::Destroy { old } => (
                old,
                bindings::tc_clsbpf_command_TC_CLSBPF_OFFLOAD,
                None,
                Some(old),
            ),
            OffloadCmd::Stats { rule } => (
                rule,
                bindings::tc_clsbpf_command_TC_CLSBPF_STATS,
                Some(rule),
                None,
            ),
        };
        bindings::tc_cls_bpf_offload {
            common,
            command,
            exts: exts.as_ptr(),
            prog: prog(new),
            oldprog: prog(old),
            name: name.map_or(ptr::null(), CStr::as_char_ptr),
            exts_integrated: rule.direct_action,
        }
    }

    fn leak(self) {
        self.prog.leak();
    }
}
