// SPDX-License-Identifier: GPL-2.0-only

//! Requests that add or replace a filter.

use super::{
    filter::{
        Data,
        Mode, //
    },
    offload,
    program::{
        check_dev_bound,
        check_id_and_tag,
        parse_prog, //
    },
    stats::FilterStats,
    warnings,
    BpfClassifier, //
};
use crate::{
    abstractions::{
        net::{
            netlink::{
                Attrs,
                ExtAck, //
            },
            pkt_cls::{
                self,
                flags,
                BpfRule,
                Exts,
                FilterInit,
                Handle, //
            }, //
        },
        uapi::{
            TCA_BPF_ACT,
            TCA_BPF_CLASSID,
            TCA_BPF_FLAGS,
            TCA_BPF_FLAGS_GEN,
            TCA_BPF_FLAG_ACT_DIRECT,
            TCA_BPF_NAME,
            TCA_BPF_POLICE,
            TCA_OPTIONS,
            TCA_RATE,
            __TCA_BPF_MAX, //
        }, //
    },
    name::ProgName, //
};
use kernel::prelude::*;

pub(super) type BpfAttrs<'a> = Attrs<'a, __TCA_BPF_MAX>;
type Change<'a> = pkt_cls::Change<'a, BpfClassifier>;
type FilterRef<'a> = pkt_cls::FilterRef<'a, BpfClassifier>;
type NewFilter<'a> = pkt_cls::NewFilter<'a, BpfClassifier>;
pub(super) type TcfProto<'a> = pkt_cls::TcfProto<'a, BpfClassifier>;
type Writer<'w, 'a> = pkt_cls::Writer<'w, 'a, BpfClassifier>;

/// Adds or replaces a filter. C: `cls_bpf_change()`.
pub(super) fn change<'a>(change: &Change<'a>, extack: &mut ExtAck<'_>) -> Result<FilterRef<'a>> {
    let (new, warning) = parse(change, extack)?;
    let warning = warning.or_else(|| warnings::warning(change, &new));
    // RTNL protects the owners of the block (`dst_needed()`), its devices (`is_dev_bound()`) and
    // offload (`skip_sw()`). It also protects classes: `Change::writer()` takes it for them.
    let prog = &new.rule().prog;
    let needs_rtnl = prog.dst_needed() || prog.is_dev_bound() || new.skip_sw();
    let result = {
        let writer = change.writer(&new, needs_rtnl);
        if let Some(rtnl) = writer.rtnl() {
            check_dev_bound(rtnl, change.tp, prog, extack)?;
            if prog.dst_needed() {
                change.tp.keep_dst(rtnl);
            }
        }
        insert_or_replace(change, &writer, new, extack)
    };
    // On error, drop the new filter after the writer's locks: its actions may hold the last
    // reference to a chain, and destroying a chain calls drivers under `cb_lock`.
    let filter = result.map_err(|(error, _new)| error)?;
    if let Some(what) = warning {
        extack.set_warning(what);
    }
    Ok(filter)
}

/// Offers the filter to the devices of the block, if there are any, and publishes it to the packet
/// path.
fn insert_or_replace<'a>(
    change: &Change<'a>,
    writer: &Writer<'_, 'a>,
    new: NewFilter<'a>,
    extack: &mut ExtAck<'_>,
) -> Result<FilterRef<'a>, (Error, NewFilter<'a>)> {
    let old = change.old.as_ref();
    let handle = match change.handle {
        0 => Handle::Auto,
        handle => Handle::Exact(handle),
    };
    let mut insert_error = |error| match handle {
        _ if error != ENOSPC => error,
        // Another request took the handle after the core's lookup: the core retries, and finds it.
        Handle::Exact(_) => EAGAIN,
        Handle::Auto => extack.set_err(error, c"no handle is free"),
    };
    let Some(devices) = writer.devices() else {
        let published = match old {
            Some(old) => writer.replace(old, new).map_err(|new| (EAGAIN, new)),
            None => writer
                .insert(handle, new)
                .map_err(|(error, new)| (error.map_or(EAGAIN, insert_error), new)),
        };
        return published.inspect(|filter| change.tp.update_usesw(filter));
    };

    let reservation = match old.map_or_else(|| writer.reserve(handle).map(Some), |_| Ok(None)) {
        Ok(reservation) => reservation,
        Err(error) => return Err((insert_error(error), new)),
    };
    if let Err(error) = offload::install(&devices, &new, old.map(|old| &**old), extack) {
        return Err((error, new));
    }
    change.tp.update_usesw(&new);

    match (old, reservation) {
        (None, Some(reservation)) => reservation.publish(new),
        (Some(old), _) => writer.replace(old, new),
        (None, None) => Err(new),
    }
    .map_err(|new| {
        offload::roll_back(&devices, &new, old.map(|old| &**old));
        // Another request deleted the old filter or the tcf_proto.
        (EAGAIN, new)
    })
}

/// Parses a request. Returns the new filter, and a warning for userspace if the filter is added.
fn parse<'a>(
    change: &Change<'a>,
    extack: &mut ExtAck<'_>,
) -> Result<(NewFilter<'a>, Option<&'static CStr>)> {
    let Some(options) = change.tca.get::<TCA_OPTIONS>() else {
        return Err(extack.set_err(
            EINVAL,
            c"TCA_OPTIONS is missing: a bpf filter needs bytecode or a program",
        ));
    };
    let attrs = options.nested::<__TCA_BPF_MAX>(extack)?;
    let mode = parse_mode(&attrs, extack)?;
    let skip = parse_gen_flags(&attrs, extack)?;
    if change.old.as_ref().is_some_and(|old| old.skip() != skip) {
        return Err(extack.set_err(
            EINVAL,
            c"skip_hw and skip_sw cannot be changed: delete the filter and add it again",
        ));
    }
    let name = match attrs.get::<TCA_BPF_NAME>() {
        Some(attr) => Some(ProgName::parse(attr, extack)?),
        None => None,
    };
    let classid = match attrs.get::<TCA_BPF_CLASSID>() {
        Some(attr) => attr.u32(extack)?,
        None => 0,
    };
    let skip_sw = skip & flags::SKIP_SW != 0;
    let prog = parse_prog(&attrs, options, skip_sw, extack)?;
    check_id_and_tag(
        &attrs,
        &prog,
        change.old.as_ref().map(|old| &old.rule().prog),
        extack,
    )?;
    let exts = parse_actions(change, &attrs, extack)?;
    let warning = if mode == Mode::DirectAction && !exts.is_empty() {
        Some(c"the actions of a direct-action filter are not run")
    } else if attrs.get::<TCA_BPF_POLICE>().is_some() && attrs.get::<TCA_BPF_ACT>().is_some() {
        // pyroute2 sends the policer's action as `TCA_BPF_ACT`, too.
        Some(c"the actions of a filter that has a policer are not run")
    } else {
        None
    };
    let entry = pkt_cls::NewFilter::new(
        change,
        FilterInit {
            rule: BpfRule {
                prog,
                direct_action: mode == Mode::DirectAction,
            },
            classid,
            exts,
            skip,
            data: Data {
                name,
                stats: FilterStats::new(),
            },
        },
    )?;
    Ok((entry, warning))
}

/// Parses the flags of the classifier (`TCA_BPF_FLAGS`), of which there is one.
fn parse_mode(attrs: &BpfAttrs<'_>, extack: &mut ExtAck<'_>) -> Result<Mode> {
    let Some(attr) = attrs.get::<TCA_BPF_FLAGS>() else {
        return Ok(Mode::Classify);
    };
    match attr.u32(extack)? {
        0 => Ok(Mode::Classify),
        TCA_BPF_FLAG_ACT_DIRECT => Ok(Mode::DirectAction),
        _ => Err(extack.set_err_attr(EINVAL, attr, c"unknown flag of a bpf filter")),
    }
}

/// Parses the generic flags (`TCA_BPF_FLAGS_GEN`): none, or one of `SKIP_HW` and `SKIP_SW`.
fn parse_gen_flags(attrs: &BpfAttrs<'_>, extack: &mut ExtAck<'_>) -> Result<u32> {
    let Some(attr) = attrs.get::<TCA_BPF_FLAGS_GEN>() else {
        return Ok(0);
    };
    let gen = attr.u32(extack)?;
    if gen & !(flags::SKIP_HW | flags::SKIP_SW) != 0 {
        return Err(extack.set_err_attr(
            EINVAL,
            attr,
            c"a bpf filter supports only the generic flags skip_hw and skip_sw",
        ));
    }
    if gen == flags::SKIP_HW | flags::SKIP_SW {
        return Err(extack.set_err_attr(
            EINVAL,
            attr,
            c"skip_hw and skip_sw are mutually exclusive",
        ));
    }
    Ok(gen)
}

fn parse_actions<'a>(
    change: &Change<'a>,
    attrs: &BpfAttrs<'_>,
    extack: &mut ExtAck<'_>,
) -> Result<Exts<'a>> {
    if let Some(rate) = change.tca.get::<TCA_RATE>() {
        if attrs.get::<TCA_BPF_ACT>().is_none() && attrs.get::<TCA_BPF_POLICE>().is_none() {
            return Err(extack.set_err_attr(EINVAL, rate, c"a rate estimator needs an action"));
        }
    }
    Exts::parse(change, attrs, TCA_BPF_ACT, TCA_BPF_POLICE, extack).map_err(|error| {
        // Not an error: the module of an action was loaded, and the core retries the request.
        if error == EAGAIN {
            return error;
        }
        extack.set_err_if_unset(error, c"an action or the policer cannot be set up")
    })
}
