// SPDX-License-Identifier: GPL-2.0-only

//! What devices are told about filters.
//!
//! It is known of each device whether it has a filter: it is asked to give up what it has, and
//! nothing else. So two filters may share a program, devices that never took a filter may leave,
//! and the one that refuses a replacement is not left with what it replaces.

use super::{
    filter::Filter,
    BpfClassifier, //
};
use crate::abstractions::{
    compat::EOPNOTSUPP,
    net::{
        netlink::ExtAck,
        pkt_cls, //
    }, //
};
use kernel::{
    pr_warn_once,
    prelude::*, //
};

type Device<'a> = pkt_cls::Device<'a, BpfClassifier>;
type Devices<'a> = pkt_cls::Devices<'a, BpfClassifier>;

/// Offers a filter to the devices of the block, in place of `old` if there is one.
///
/// A device that refuses it has neither afterwards, for in software there is the new one. If the
/// filter is to be nowhere but in devices, that is an error instead; then no device has it, and
/// those that had `old` have it again. C: `cls_bpf_offload()`.
pub(super) fn install(
    devices: &Devices<'_>,
    new: &Filter,
    old: Option<&Filter>,
    extack: &mut ExtAck<'_>,
) -> Result {
    if new.skip_hw() {
        return Ok(());
    }
    let mut install = || {
        if new.skip_sw() && devices.has_others() {
            return Err(EOPNOTSUPP);
        }
        devices.for_each(|device| {
            if !new.offer(device, old, extack)? {
                if let Some(old) = old {
                    withdrawn(old.withdraw(device, extack));
                }
            }
            Ok(())
        })?;
        if new.skip_sw() && !new.in_hw() {
            return Err(EINVAL);
        }
        Ok(())
    };
    install().map_err(|error| {
        roll_back(devices, new, old);
        extack.refuse_unless_said(
            error,
            c"skip_sw, but not every device of the block takes the filter",
        )
    })
}

/// Undoes what [`install`] did, whether or not that was all.
///
/// What the devices say is not for the user, who reads why it came to this.
pub(super) fn roll_back(devices: &Devices<'_>, new: &Filter, old: Option<&Filter>) {
    let extack = &mut ExtAck::ignored();
    let _ = devices.for_each(|device| {
        if new.is_in(device) {
            let back = match old {
                Some(old) => old.offer(device, Some(new), extack).unwrap_or(false),
                None => false,
            };
            withdrawn(back || new.withdraw(device, extack));
        }
        Ok(())
    });
}

/// Takes a filter away from the devices of the block. C: `cls_bpf_stop_offload()`.
pub(super) fn remove(devices: &Devices<'_>, filter: &Filter, extack: &mut ExtAck<'_>) {
    let _ = devices.for_each(|device| {
        leave(device, filter, extack);
        Ok(())
    });
}

/// Offers a filter to a device that joins the block. An error keeps it from joining.
/// C: `cls_bpf_reoffload()`.
pub(super) fn join(device: &Device<'_>, filter: &Filter, extack: &mut ExtAck<'_>) -> Result {
    if !filter.skip_hw() {
        filter.offer(device, None, extack)?;
    }
    Ok(())
}

/// Takes a filter away from a device, which may leave the block. C: `cls_bpf_reoffload()`.
pub(super) fn leave(device: &Device<'_>, filter: &Filter, extack: &mut ExtAck<'_>) {
    withdrawn(filter.withdraw(device, extack));
}

fn withdrawn(done: bool) {
    if !done {
        pr_warn_once!("a device does not give up a filter, whose program it keeps\n");
    }
}
