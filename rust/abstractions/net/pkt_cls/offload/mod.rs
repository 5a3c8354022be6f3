// SPDX-License-Identifier: GPL-2.0-only

//! Filters in devices.
//!
//! C header: [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

mod device;
mod state;

pub(crate) use device::{
    Device,
    Devices, //
};
pub(super) use state::OffloadState;

use super::exts::Exts;
use crate::abstractions::bindings;
use kernel::prelude::*;

/// Bits of `TCA_BPF_FLAGS_GEN` and its like, common to all classifiers.
pub(crate) mod flags {
    use crate::abstractions::bindings;

    /// The user wants it in no device.
    pub(crate) const SKIP_HW: u32 = bindings::TCA_CLS_FLAGS_SKIP_HW;
    /// The user wants it nowhere but in devices.
    pub(crate) const SKIP_SW: u32 = bindings::TCA_CLS_FLAGS_SKIP_SW;
    /// A device has it (reported only).
    pub(crate) const IN_HW: u32 = bindings::TCA_CLS_FLAGS_IN_HW;
    /// No device has it (reported only).
    pub(crate) const NOT_IN_HW: u32 = bindings::TCA_CLS_FLAGS_NOT_IN_HW;
}

/// What the driver of a device is told about a filter.
pub(crate) enum Told<'a, R> {
    /// The device is to have a filter; in place of an old one, if it has that.
    Has {
        /// What it is to have.
        new: &'a R,
        /// What it has.
        old: Option<&'a R>,
    },
    /// The device is to be without a filter.
    Gone {
        /// What it has.
        old: &'a R,
    },
    /// The device is to say what it has counted.
    Count {
        /// What it may have.
        rule: &'a R,
    },
}

/// What a filter does, as far as drivers are told.
///
/// # Safety
///
/// A driver that is told of a rule may keep nothing of it but what [`Self::leak`] leaves valid for
/// ever; the rest is its for the call.
pub(crate) unsafe trait Rule: Sized + Send + Sync {
    /// The command's number.
    const SETUP: bindings::tc_setup_type;

    /// The command.
    type Command;

    /// Makes the command. `name` is what the user calls the filter.
    fn command(
        told: Told<'_, Self>,
        common: bindings::flow_cls_common_offload,
        exts: &Exts<'_>,
        name: Option<&CStr>,
    ) -> Self::Command;

    /// Ends the rule, but for what a driver may keep.
    fn leak(self);
}
