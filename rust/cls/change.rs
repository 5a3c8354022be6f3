// SPDX-License-Identifier: GPL-2.0-only

//! Requests to add a filter, or to put one in another's place.

use super::filter::Filter;
use crate::abstractions::{
    bpf::{
        Prog,
        SchedCls, //
    },
    net::{
        netlink::{
            Attr,
            Attrs,
            ExtAck, //
        },
        pkt_cls::{
            flags,
            BoundClass,
            Change,
            Entry,
            FilterTable,
            Handle, //
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
    rtnl: &'a Rtnl,
    change: &Change<'a, Filter>,
    extack: &mut ExtAck<'_>,
) -> Result<&'a Filter> {
    let Some(options) = change.tca.get::<TCA_OPTIONS>() else {
        return Err(extack.refuse(EINVAL, c"a bpf filter needs options: a program at least"));
    };
    let attrs = options.nested::<__TCA_BPF_MAX>(extack)?;
    refuse_unsupported(&attrs, change, extack)?;
    let gen_flags = parse_flags(&attrs, options, extack)?;
    let name = match attrs.get::<TCA_BPF_NAME>() {
        Some(attr) => Some(ProgName::parse(attr, GFP_KERNEL_ACCOUNT, extack)?),
        None => None,
    };
    let classid = match attrs.get::<TCA_BPF_CLASSID>() {
        Some(attr) => attr.u32(extack)?,
        None => 0,
    };
    let prog = parse_prog(&attrs, options, extack)?;

    let filter = |handle| Filter {
        prog,
        class: BoundClass::new(classid),
        handle,
        gen_flags: gen_flags | flags::NOT_IN_HW,
        name,
    };
    let install = |filter: &Filter| {
        if classid != 0 {
            filter.class.bind(rtnl, change.tp, change.base);
        }
        if filter.prog.dst_needed() {
            change.tp.keep_dst(rtnl);
        }
        change.tp.update_usesw(rtnl, filter.gen_flags);
    };

    if let Some(old) = change.old {
        if old.gen_flags != (gen_flags | flags::NOT_IN_HW) {
            return Err(extack.refuse(
                EINVAL,
                c"skip_hw of a filter cannot be changed: delete it and add it anew",
            ));
        }
        let entry = Entry::new(filter(old.handle))?;
        install(entry.filter());
        let new = filters.replace(rtnl, old.handle, entry).ok_or(ENOENT)?;
        old.class.unbind(rtnl, change.tp);
        return Ok(new);
    }

    let handle = match change.handle {
        0 => Handle::Auto,
        handle => Handle::Exact(handle),
    };
    let reservation = filters.reserve(rtnl, handle).inspect_err(|error| {
        if *error == ENOSPC {
            extack.refuse(*error, c"no handle is free");
        }
    })?;
    let entry = Entry::new(filter(reservation.id()))?;
    install(entry.filter());
    Ok(reservation.publish(entry))
}

/// Names what a request asks for that is not there yet.
fn refuse_unsupported(
    attrs: &BpfAttrs<'_>,
    change: &Change<'_, Filter>,
    extack: &mut ExtAck<'_>,
) -> Result {
    let mut refuse = |attr: Option<Attr<'_>>, error, why| match attr {
        Some(attr) => Err(extack.refuse_attr(error, attr, why)),
        None => Ok(()),
    };
    let actions = c"actions and policers are not supported by bpf filters yet";
    refuse(attrs.get::<TCA_BPF_ACT>(), EOPNOTSUPP, actions)?;
    refuse(attrs.get::<TCA_BPF_POLICE>(), EOPNOTSUPP, actions)?;
    refuse(
        change.tca.get::<TCA_RATE>(),
        EOPNOTSUPP,
        c"an estimator belongs to actions, which bpf filters do not support yet",
    )?;
    let reported = c"the tag and the id of a program are reported, they cannot be set";
    refuse(attrs.get::<TCA_BPF_TAG>(), EINVAL, reported)?;
    refuse(attrs.get::<TCA_BPF_ID>(), EINVAL, reported)
}

/// The generic flags. The filter's own have one bit, which must be set.
fn parse_flags(attrs: &BpfAttrs<'_>, options: Attr<'_>, extack: &mut ExtAck<'_>) -> Result<u32> {
    let own = match attrs.get::<TCA_BPF_FLAGS>() {
        Some(attr) => {
            let own = attr.u32(extack)?;
            if own & !TCA_BPF_FLAG_ACT_DIRECT != 0 {
                return Err(extack.refuse_attr(EINVAL, attr, c"unknown flag of a bpf filter"));
            }
            own
        }
        None => 0,
    };
    let gen = match attrs.get::<TCA_BPF_FLAGS_GEN>() {
        Some(attr) => {
            let gen = attr.u32(extack)?;
            if gen & !(flags::SKIP_HW | flags::SKIP_SW) != 0 {
                return Err(extack.refuse_attr(
                    EINVAL,
                    attr,
                    c"a bpf filter takes no other generic flags than skip_hw and skip_sw",
                ));
            }
            if gen == flags::SKIP_HW | flags::SKIP_SW {
                return Err(extack.refuse_attr(
                    EINVAL,
                    attr,
                    c"skip_hw and skip_sw exclude each other",
                ));
            }
            if gen & flags::SKIP_SW != 0 {
                return Err(extack.refuse_attr(
                    EOPNOTSUPP,
                    attr,
                    c"skip_sw needs hardware offload, which bpf filters do not support yet",
                ));
            }
            gen
        }
        None => 0,
    };
    if attrs.get::<TCA_BPF_FD>().is_some() && own & TCA_BPF_FLAG_ACT_DIRECT == 0 {
        return Err(extack.refuse_attr(
            EOPNOTSUPP,
            options,
            c"bpf filters are supported in direct-action mode only yet: say 'da'",
        ));
    }
    Ok(gen)
}

fn parse_prog(
    attrs: &BpfAttrs<'_>,
    options: Attr<'_>,
    extack: &mut ExtAck<'_>,
) -> Result<Prog<SchedCls>> {
    let bytecode = attrs.get::<TCA_BPF_OPS_LEN>().is_some() && attrs.get::<TCA_BPF_OPS>().is_some();
    match (attrs.get::<TCA_BPF_FD>(), bytecode) {
        (Some(_), true) => Err(extack.refuse_attr(
            EINVAL,
            options,
            c"a bpf filter has either bytecode or a program, not both",
        )),
        (None, true) => Err(extack.refuse_attr(
            EOPNOTSUPP,
            options,
            c"classic BPF bytecode is not supported by bpf filters yet",
        )),
        (None, false) => {
            Err(extack.refuse_attr(EINVAL, options, c"a bpf filter needs bytecode or a program"))
        }
        (Some(fd), false) => Prog::from_fd(fd.u32(extack)?).map_err(|error| {
            let why = if error == EBADF {
                c"the program's file descriptor is not open"
            } else {
                c"the file descriptor is not that of a BPF program of type sched_cls"
            };
            extack.refuse_attr(error, fd, why)
        }),
    }
}
