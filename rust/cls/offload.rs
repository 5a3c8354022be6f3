// SPDX-License-Identifier: GPL-2.0-only

//! Hardware offload of filters.
//!
//! Each filter keeps track of the devices that have it. A device is only asked to remove filters
//! that it has. Therefore two filters may share a program, a device that never accepted a filter
//! may leave the block, and a device that refuses a replacement does not keep the old filter.

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

type OffloadDevice<'a> = pkt_cls::OffloadDevice<'a, BpfClassifier>;
type OffloadDevices<'a> = pkt_cls::OffloadDevices<'a, BpfClassifier>;

/// Offers a filter to the devices of the block, in place of `old` if there is one.
/// C: `cls_bpf_offload()`.
///
/// A device that refuses the filter has neither filter afterwards, because the new one runs in
/// software. With `skip_sw` a refusal is an error: no device has the new filter then, and the
/// devices that had `old` have it again.
pub(super) fn install(
    devices: &OffloadDevices<'_>,
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
            if !new.hw_replace(device, old, extack)? {
                if let Some(old) = old {
                    warn_unless_removed(old.hw_destroy(device, extack));
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
        extack.set_err_if_unset(
            error,
            c"skip_sw, but not every device of the block takes the filter",
        )
    })
}

/// Undoes a complete or partial [`install`]. A device that lost `old` because it refused `new`
/// does not get it back.
///
/// Extack messages of the devices are ignored: userspace gets the message of the original error.
pub(super) fn roll_back(devices: &OffloadDevices<'_>, new: &Filter, old: Option<&Filter>) {
    let extack = &mut ExtAck::ignored();
    let _ = devices.for_each(|device| {
        if new.is_in(device) {
            let back = match old {
                Some(old) => old.hw_replace(device, Some(new), extack).unwrap_or(false),
                None => false,
            };
            warn_unless_removed(back || new.hw_destroy(device, extack));
        }
        Ok(())
    });
}

/// Removes a filter from the devices of the block. C: `cls_bpf_stop_offload()`.
pub(super) fn remove(devices: &OffloadDevices<'_>, filter: &Filter, extack: &mut ExtAck<'_>) {
    let _ = devices.for_each(|device| {
        remove_from(device, filter, extack);
        Ok(())
    });
}

/// Offers a filter to a device that joins the block. On error the device does not join.
/// C: `cls_bpf_reoffload()`.
pub(super) fn add_to(
    device: &OffloadDevice<'_>,
    filter: &Filter,
    extack: &mut ExtAck<'_>,
) -> Result {
    if !filter.skip_hw() {
        filter.hw_replace(device, None, extack)?;
    }
    Ok(())
}

/// Removes a filter from a device, which may be about to leave the block. C: `cls_bpf_reoffload()`.
pub(super) fn remove_from(device: &OffloadDevice<'_>, filter: &Filter, extack: &mut ExtAck<'_>) {
    warn_unless_removed(filter.hw_destroy(device, extack));
}

fn warn_unless_removed(done: bool) {
    if !done {
        pr_warn_once!("a device does not give up a filter, whose program it keeps\n");
    }
}
