// SPDX-License-Identifier: GPL-2.0-only

//! What devices are told about filters.

use super::filter::Filter;
use crate::abstractions::{
    net::{
        netlink::ExtAck,
        pkt_cls::{
            Device,
            Proto, //
        }, //
    },
    sync::rtnl::Rtnl,
};
use kernel::{
    pr_warn_once,
    prelude::*, //
};

/// Offers a filter to the devices of the block, in place of `old` if there is one.
///
/// On error no device has it, and those that had `old` have it again, as far as they will.
/// C: `cls_bpf_offload()`.
pub(super) fn install(
    rtnl: &Rtnl,
    tp: &Proto,
    new: &Filter,
    old: Option<&Filter>,
    extack: &mut ExtAck<'_>,
) -> Result {
    if new.offload.skip_hw() {
        return Ok(());
    }
    let offload = new.as_offload();
    match old {
        Some(old) => offload.replace(&old.as_offload(), rtnl, tp, extack),
        None => offload.add(rtnl, tp, extack),
    }
    .and_then(|()| {
        if new.skip_sw && !new.offload.in_hw() {
            return Err(EINVAL);
        }
        Ok(())
    })
    .map_err(|error| {
        roll_back(rtnl, tp, new, old);
        extack.refuse_unless_said(
            error,
            c"skip_sw, but not every device of the block takes the filter",
        )
    })
}

/// Undoes what [`install`] did, whether or not that was all.
///
/// What the devices say is not for the user, who reads why it came to this.
pub(super) fn roll_back(rtnl: &Rtnl, tp: &Proto, new: &Filter, old: Option<&Filter>) {
    if new.offload.skip_hw() {
        return;
    }
    let offload = new.as_offload();
    let extack = &mut ExtAck::ignored();
    let result = match old {
        Some(old) => old.as_offload().replace(&offload, rtnl, tp, extack),
        None => offload.remove(rtnl, tp, extack),
    };
    if let Err(error) = result {
        pr_warn_once!("a device refused to give up a filter: {error:?}\n");
    }
}

/// Takes a filter away from the devices of the block. C: `cls_bpf_stop_offload()`.
pub(super) fn remove(rtnl: &Rtnl, tp: &Proto, filter: &Filter, extack: &mut ExtAck<'_>) {
    if filter.offload.skip_hw() {
        return;
    }
    if let Err(error) = filter.as_offload().remove(rtnl, tp, extack) {
        pr_warn_once!("a device refused to give up a filter: {error:?}\n");
    }
}

/// Tells a device that joins the block, or leaves it. C: `cls_bpf_reoffload()`.
pub(super) fn replay(device: &Device<'_>, filter: &Filter, extack: &mut ExtAck<'_>) -> Result {
    if filter.offload.skip_hw() {
        return Ok(());
    }
    filter.as_offload().replay(device, extack)
}
