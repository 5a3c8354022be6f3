// SPDX-License-Identifier: GPL-2.0-only

//! Requests to add a filter, or to put one in another's place.

use super::{
    filter::{
        Filter,
        Mode, //
    },
    offload, //
};
use crate::abstractions::{
    bpf::TcProg,
    net::{
        netlink::{
            Attr,
            Attrs,
            ExtAck, //
        },
        pkt_cls::{
            flags,
            Actions,
            BoundClass,
            Change,
            Devices,
            Entry,
            FilterRef,
            FilterTable,
            Handle,
            OffloadState,
            Proto,
            Writer, //
        }, //
    },
    sync::rtnl::Rtnl,
    uapi::{
        TCA_BPF_ACT,
        TCA_BPF_CLASSID,
        TCA_BPF_FD,
        TCA_BPF_FLAGS,
        TCA_BPF_FLAGS_GEN,
        TCA_BPF_FLAG_ACT_DIRECT,
        TCA_BPF_ID,
        TCA_BPF_NAME,
        TCA_BPF_OPS,
        TCA_BPF_OPS_LEN,
        TCA_BPF_POLICE,
        TCA_BPF_TAG,
        TCA_OPTIONS,
        TCA_RATE,
        __TCA_BPF_MAX, //
    }, //
};
use crate::name::ProgName;
use kernel::prelude::*;

type BpfAttrs<'a> = Attrs<'a, __TCA_BPF_MAX>;

/// Adds or replaces a filter. C: `cls_bpf_change()`.
pub(super) fn change<'a>(
    filters: &'a FilterTable<Filter>,
    change: &Change<'a, Filter>,
    extack: &mut ExtAck<'_>,
) -> Result<FilterRef<'a, Filter>> {
    let entry = parse(change, extack)?;
    let (tp, old, new) = (change.tp, change.old.as_ref(), entry.filter());

    // What the core has no lock of its own for: classes, owners of a block, devices.
    let needs_rtnl = new.class.is_some()
        || old.is_some_and(|old| old.class.is_some())
        || new.prog.dst_needed()
        || new.prog.is_dev_bound()
        || new.skip_sw;
    let result = {
        let writer = tp.writer(&change.caller, needs_rtnl);
        if let Some(rtnl) = writer.rtnl() {
            check_devices(rtnl, tp, &new.prog, extack)?;
            if new.prog.dst_needed() {
                tp.keep_dst(rtnl);
            }
            if new.class.is_some() {
                new.class.bind(rtnl, tp, change.base);
            }
        }
        let result = publish(filters, change, &writer, entry, extack);
        if let Some(rtnl) = writer.rtnl() {
            match (&result, old) {
                (Ok(_), Some(old)) => old.class.unbind(rtnl, tp),
                (Ok(_), None) => (),
                // Unpublished, for whatever reason: nothing may remember it.
                (Err((_, entry)), _) => entry.filter().class.unbind(rtnl, tp),
            }
        }
        result
    };
    // A filter that came to nothing goes without the writer's locks: its actions may be the last
    // to hold a chain, of which devices are told.
    result.map_err(|(error, _entry)| error)
}

/// Tells the devices of the block about the filter, and puts it where packets find it.
fn publish<'a>(
    filters: &'a FilterTable<Filter>,
    change: &Change<'a, Filter>,
    writer: &Writer<'_>,
    entry: Entry<Filter>,
    extack: &mut ExtAck<'_>,
) -> Result<FilterRef<'a, Filter>, (Error, Entry<Filter>)> {
    let (tp, old) = (change.tp, change.old.as_ref());
    let reservation = match (old, change.handle) {
        (Some(_), _) => None,
        (None, 0) => Some(filters.reserve(Handle::Auto)),
        (None, handle) => Some(filters.reserve(Handle::Exact(handle))),
    };
    let reservation = match reservation.transpose() {
        Ok(reservation) => reservation,
        // There was no filter of that handle when the core looked: now it will find one.
        Err(error) if error == ENOSPC && change.handle != 0 => return Err((EAGAIN, entry)),
        Err(error) if error == ENOSPC => {
            return Err((extack.refuse(error, c"no handle is free"), entry));
        }
        Err(error) => return Err((error, entry)),
    };

    if let Some(rtnl) = writer.rtnl() {
        let devices = Devices::new(tp, rtnl);
        let old = old.map(|old| &**old);
        if let Err(error) = offload::install(&devices, entry.filter(), old, extack) {
            return Err((error, entry));
        }
    }
    tp.update_usesw(&entry.filter().offload);

    match (old, reservation) {
        (None, Some(reservation)) => reservation.publish(writer, tp, entry),
        (Some(old), _) => filters.replace(writer, tp, old, entry),
        (None, None) => Err(entry),
    }
    .map_err(|entry| {
        if let Some(rtnl) = writer.rtnl() {
            let devices = Devices::new(tp, rtnl);
            offload::roll_back(&devices, entry.filter(), old.map(|old| &**old));
        }
        // Another request took the old one, or the instance, away.
        (EAGAIN, entry)
    })
}

/// Reads a request, and makes the filter that it describes.
fn parse(change: &Change<'_, Filter>, extack: &mut ExtAck<'_>) -> Result<Entry<Filter>> {
    let Some(options) = change.tca.get::<TCA_OPTIONS>() else {
        return Err(extack.refuse(EINVAL, c"a bpf filter needs options: a program at least"));
    };
    let attrs = options.nested::<__TCA_BPF_MAX>(extack)?;
    refuse_reported(&attrs, extack)?;
    let mode = parse_mode(&attrs, extack)?;
    let skip = parse_skip(&attrs, extack)?;
    if change
        .old
        .as_ref()
        .is_some_and(|old| old.offload.skip() != skip)
    {
        return Err(extack.refuse(
            EINVAL,
            c"skip_hw and skip_sw of a filter cannot be changed: delete it and add it anew",
        ));
    }
    let name = match attrs.get::<TCA_BPF_NAME>() {
        Some(attr) => Some(ProgName::parse(attr, GFP_KERNEL_ACCOUNT, extack)?),
        None => None,
    };
    let classid = match attrs.get::<TCA_BPF_CLASSID>() {
        Some(attr) => attr.u32(extack)?,
        None => 0,
    };
    let skip_sw = skip & flags::SKIP_SW != 0;
    let prog = parse_prog(&attrs, options, skip_sw, extack)?;
    let actions = parse_actions(change, &attrs, extack)?;
    if mode == Mode::DirectAction && !actions.is_empty() {
        extack.warn(c"the actions of a direct-action filter are not run");
    }
    Entry::new(Filter {
        prog,
        class: BoundClass::new(classid),
        mode,
        skip_sw,
        actions,
        offload: OffloadState::new(skip),
        name,
    })
}

/// Refuses what only a dump has.
fn refuse_reported(attrs: &BpfAttrs<'_>, extack: &mut ExtAck<'_>) -> Result {
    let reported = attrs
        .get::<TCA_BPF_TAG>()
        .or_else(|| attrs.get::<TCA_BPF_ID>());
    match reported {
        Some(attr) => Err(extack.refuse_attr(
            EINVAL,
            attr,
            c"the tag and the id of a program are reported, they cannot be set",
        )),
        None => Ok(()),
    }
}

/// The filter's own flags, of which there is one.
fn parse_mode(attrs: &BpfAttrs<'_>, extack: &mut ExtAck<'_>) -> Result<Mode> {
    let Some(attr) = attrs.get::<TCA_BPF_FLAGS>() else {
        return Ok(Mode::Classify);
    };
    match attr.u32(extack)? {
        0 => Ok(Mode::Classify),
        TCA_BPF_FLAG_ACT_DIRECT => Ok(Mode::DirectAction),
        _ => Err(extack.refuse_attr(EINVAL, attr, c"unknown flag of a bpf filter")),
    }
}

/// The generic flags: none, or one of `SKIP_HW` and `SKIP_SW`.
fn parse_skip(attrs: &BpfAttrs<'_>, extack: &mut ExtAck<'_>) -> Result<u32> {
    let Some(attr) = attrs.get::<TCA_BPF_FLAGS_GEN>() else {
        return Ok(0);
    };
    let gen = attr.u32(extack)?;
    if gen & !(flags::SKIP_HW | flags::SKIP_SW) != 0 {
        return Err(extack.refuse_attr(
            EINVAL,
            attr,
            c"a bpf filter takes no other generic flags than skip_hw and skip_sw",
        ));
    }
    if gen == flags::SKIP_HW | flags::SKIP_SW {
        return Err(extack.refuse_attr(EINVAL, attr, c"skip_hw and skip_sw exclude each other"));
    }
    Ok(gen)
}

fn parse_actions(
    change: &Change<'_, Filter>,
    attrs: &BpfAttrs<'_>,
    extack: &mut ExtAck<'_>,
) -> Result<Actions> {
    if let Some(rate) = change.tca.get::<TCA_RATE>() {
        if attrs.get::<TCA_BPF_ACT>().is_none() && attrs.get::<TCA_BPF_POLICE>().is_none() {
            return Err(extack.refuse_attr(
                EINVAL,
                rate,
                c"an estimator belongs to actions, of which there are none",
            ));
        }
    }
    Actions::parse(change, attrs, TCA_BPF_ACT, TCA_BPF_POLICE, extack).map_err(|error| {
        // Not a refusal: the core begins anew, when it has loaded the action's module.
        if error == EAGAIN {
            return error;
        }
        extack.refuse_unless_said(
            error,
            c"an action or the policer is refused, and does not say why",
        )
    })
}

fn parse_prog(
    attrs: &BpfAttrs<'_>,
    options: Attr<'_>,
    skip_sw: bool,
    extack: &mut ExtAck<'_>,
) -> Result<TcProg> {
    let bytecode = attrs
        .get::<TCA_BPF_OPS_LEN>()
        .zip(attrs.get::<TCA_BPF_OPS>());
    match (attrs.get::<TCA_BPF_FD>(), bytecode) {
        (Some(_), Some(_)) => Err(extack.refuse_attr(
            EINVAL,
            options,
            c"a bpf filter has either bytecode or a program, not both",
        )),
        (None, None) => {
            Err(extack.refuse_attr(EINVAL, options, c"a bpf filter needs bytecode or a program"))
        }
        (None, Some((len, insns))) => parse_bytecode(len, insns, extack),
        (Some(fd), None) => TcProg::from_fd(fd.u32(extack)?, skip_sw).map_err(|error| {
            let why = if error == EBADF {
                c"the program's file descriptor is not open"
            } else {
                c"the file descriptor is not that of a BPF program of type sched_cls"
            };
            extack.refuse_attr(error, fd, why)
        }),
    }
}

/// C: `cls_bpf_prog_from_ops()`.
fn parse_bytecode(len: Attr<'_>, insns: Attr<'_>, extack: &mut ExtAck<'_>) -> Result<TcProg> {
    const LENGTH: &CStr = c"bytecode has at least 1 instruction and at most 4096";

    if insns.payload().len() > TcProg::MAX_INSNS * TcProg::INSN_SIZE {
        return Err(extack.refuse_attr(ERANGE, insns, LENGTH));
    }
    let count = usize::from(len.u16(extack)?);
    if count == 0 || count > TcProg::MAX_INSNS {
        return Err(extack.refuse_attr(EINVAL, len, LENGTH));
    }
    if insns.payload().len() != count * TcProg::INSN_SIZE {
        return Err(extack.refuse_attr(
            EINVAL,
            insns,
            c"the bytecode is not as long as its number of instructions says",
        ));
    }
    TcProg::from_bytecode(insns.payload()).map_err(|error| {
        if error == ENOMEM {
            return error;
        }
        extack.refuse_attr(error, insns, c"the kernel's checker refuses the bytecode")
    })
}

/// A program that was loaded for a device runs on no other. C: `cls_bpf_prog_from_efd()`.
fn check_devices(rtnl: &Rtnl, tp: &Proto, prog: &TcProg, extack: &mut ExtAck<'_>) -> Result {
    if !prog.is_dev_bound() || tp.all_devices(rtnl, |dev| prog.is_bound_to(dev)) {
        return Ok(());
    }
    let why = if tp.is_shared() {
        c"Program is not bound to every device in the block"
    } else {
        c"Program is bound to a different device"
    };
    Err(extack.refuse(EINVAL, why))
}
