// SPDX-License-Identifier: GPL-2.0-only

//! One filter.

use crate::abstractions::{
    bpf::TcProg,
    net::pkt_cls::{
        self,
        Actions,
        BoundClass,
        BpfOffload,
        OffloadState, //
    },
};
use crate::name::ProgName;

/// What a filter's program decides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Its return value is the verdict.
    DirectAction,
    /// Its return value is a class, and the actions are the verdict.
    Classify,
}

/// A filter. What the packet path reads comes first.
#[repr(C)]
pub(crate) struct Filter {
    pub(super) prog: TcProg,
    pub(super) class: BoundClass,
    pub(super) mode: Mode,
    /// Not to be run here: a device does. As in `offload`, which other CPUs write to.
    pub(super) skip_sw: bool,
    pub(super) actions: Actions,
    pub(super) offload: OffloadState,
    pub(super) name: Option<ProgName>,
}

impl Filter {
    /// What devices are told about it.
    pub(super) fn as_offload(&self) -> BpfOffload<'_> {
        BpfOffload {
            prog: &self.prog,
            actions: &self.actions,
            name: self.name.as_ref().map(ProgName::as_cstr),
            direct_action: self.mode == Mode::DirectAction,
            state: &self.offload,
        }
    }
}

impl pkt_cls::Filter for Filter {
    fn actions(&self) -> &Actions {
        &self.actions
    }

    fn offload(&self) -> &OffloadState {
        &self.offload
    }
}
