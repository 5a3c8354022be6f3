// SPDX-License-Identifier: GPL-2.0-only

//! Hardware offload of filters.
//!
//! C header: [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

mod device;
mod state;

pub(crate) use device::{
    OffloadDevice,
    OffloadDevices, //
};
pub(super) use state::OffloadState;

use super::exts::Exts;
use crate::abstractions::bindings;
use kernel::prelude::*;

/// Generic filter flags, common to all classifiers (for cls_bpf: `TCA_BPF_FLAGS_GEN`).
pub(crate) mod flags {
    use crate::abstractions::bindings;

    /// The user wants the filter in no device.
    pub(crate) const SKIP_HW: u32 = bindings::TCA_CLS_FLAGS_SKIP_HW;
    /// The user wants the filter only in devices, and not in software.
    pub(crate) const SKIP_SW: u32 = bindings::TCA_CLS_FLAGS_SKIP_SW;
    /// A device has the filter (reported only).
    pub(crate) const IN_HW: u32 = bindings::TCA_CLS_FLAGS_IN_HW;
    /// No device has the filter (reported only).
    pub(crate) const NOT_IN_HW: u32 = bindings::TCA_CLS_FLAGS_NOT_IN_HW;
}

/// A command to the driver of a device.
pub(crate) enum OffloadCmd<'a, R> {
    /// Add a filter, or replace one.
    Replace {
        /// The rule to add.
        new: &'a R,
        /// The rule that it replaces, if the device has that.
        old: Option<&'a R>,
    },
    /// Remove a filter.
    Destroy {
        /// The rule to remove.
        old: &'a R,
    },
    /// Update the statistics of a filter.
    Stats {
        /// The rule, which the device may have.
        rule: &'a R,
    },
}

/// What a filter does, as drivers see it.
///
/// # Safety
///
/// A driver that gets a rule may only keep what [`Self::leak`] leaves valid for ever. Everything
/// else is only valid during the call.
pub(crate) unsafe trait Rule: Sized + Send + Sync {
    /// The type of the command (`TC_SETUP_*`).
    const SETUP: bindings::tc_setup_type;

    /// The C structure of the command.
    type Command;

    /// Creates the command. `name` is the user's name of the filter.
    fn command(
        cmd: OffloadCmd<'_, Self>,
        common: bindings::flow_cls_common_offload,
        exts: &Exts<'_>,
        name: Option<&CStr>,
    ) -> Self::Command;

    /// Drops the rule, except for what a driver may keep.
    fn leak(self);
}
