// SPDX-License-Identifier: GPL-2.0-only

//! The program of a filter, as a request names it.

use super::change::{
    BpfAttrs,
    TcfProto, //
};
use crate::abstractions::{
    bpf::{
        ProgOrigin,
        TcProg, //
    },
    net::netlink::{
        Attr,
        ExtAck, //
    },
    sync::rtnl::Rtnl,
    uapi::{
        TCA_BPF_FD,
        TCA_BPF_ID,
        TCA_BPF_NAME,
        TCA_BPF_OPS,
        TCA_BPF_OPS_LEN,
        TCA_BPF_TAG, //
    }, //
};
use kernel::prelude::*;

/// Rejects an id or a tag that belongs neither to the new program nor to the one that it replaces.
///
/// The latter are accepted because a client may modify a dump and send it back.
pub(super) fn check_id_and_tag(
    attrs: &BpfAttrs<'_>,
    prog: &TcProg,
    old: Option<&TcProg>,
    extack: &mut ExtAck<'_>,
) -> Result {
    let origins = [Some(prog.origin()), old.map(TcProg::origin)];
    let mut loaded = origins.iter().flatten().filter_map(|origin| match origin {
        ProgOrigin::Loaded { id, tag } => Some((id.to_ne_bytes(), *tag)),
        ProgOrigin::Classic(..) => None,
    });
    if let Some(attr) = attrs.get::<TCA_BPF_ID>() {
        if !loaded.clone().any(|(id, _)| id == *attr.payload()) {
            return Err(extack.set_err_attr(
                EINVAL,
                attr,
                c"TCA_BPF_ID is not the id of the program",
            ));
        }
    }
    if let Some(attr) = attrs.get::<TCA_BPF_TAG>() {
        if !loaded.any(|(_, tag)| tag == attr.payload()) {
            return Err(extack.set_err_attr(
                EINVAL,
                attr,
                c"TCA_BPF_TAG is not the tag of the program",
            ));
        }
    }
    Ok(())
}

pub(super) fn parse_prog(
    attrs: &BpfAttrs<'_>,
    options: Attr<'_>,
    skip_sw: bool,
    extack: &mut ExtAck<'_>,
) -> Result<TcProg> {
    match (
        attrs.get::<TCA_BPF_FD>(),
        attrs.get::<TCA_BPF_OPS_LEN>(),
        attrs.get::<TCA_BPF_OPS>(),
    ) {
        (None, None, None) => {
            Err(extack.set_err_attr(EINVAL, options, c"a bpf filter needs bytecode or a program"))
        }
        (None, Some(len), Some(insns)) => {
            if let Some(name) = attrs.get::<TCA_BPF_NAME>() {
                return Err(extack.set_err_attr(EINVAL, name, c"bytecode cannot have a name"));
            }
            parse_bytecode(len, insns, extack)
        }
        (None, ..) => Err(extack.set_err_attr(
            EINVAL,
            options,
            c"bytecode needs both its instructions and their number",
        )),
        (Some(fd), None, None) => {
            let number = fd.u32(extack)?;
            TcProg::from_fd(number, skip_sw).map_err(|error| {
                let why = if error == EBADF {
                    c"the program's file descriptor is not open"
                } else if TcProg::from_fd(number, true).is_ok() {
                    c"the program was loaded for a device: it needs skip_sw"
                } else {
                    c"the file descriptor does not refer to a BPF program of type sched_cls"
                };
                extack.set_err_attr(error, fd, why)
            })
        }
        (Some(_), ..) => Err(extack.set_err_attr(
            EINVAL,
            options,
            c"a bpf filter has either bytecode or a program, not both",
        )),
    }
}

/// Creates a program from classic bytecode. C: `cls_bpf_prog_from_ops()`.
fn parse_bytecode(len: Attr<'_>, insns: Attr<'_>, extack: &mut ExtAck<'_>) -> Result<TcProg> {
    const LENGTH: &CStr = c"bytecode must have 1 to 4096 instructions";

    if insns.payload().len() > TcProg::MAX_INSNS * TcProg::INSN_SIZE {
        return Err(extack.set_err_attr(ERANGE, insns, LENGTH));
    }
    let count = usize::from(len.u16(extack)?);
    if count == 0 {
        // tc sends this if the command line names no program.
        return Err(extack.set_err_attr(
            EINVAL,
            len,
            c"the bytecode is empty: a bpf filter needs bytecode or a program",
        ));
    }
    if count > TcProg::MAX_INSNS {
        return Err(extack.set_err_attr(EINVAL, len, LENGTH));
    }
    if insns.payload().len() != count * TcProg::INSN_SIZE {
        return Err(extack.set_err_attr(
            EINVAL,
            insns,
            c"the length of the bytecode does not match its number of instructions",
        ));
    }
    TcProg::from_bytecode(insns.payload()).map_err(|error| {
        if error == ENOMEM {
            return error;
        }
        extack.set_err_attr(error, insns, c"the bytecode is not valid")
    })
}

/// Rejects a device-bound program on a block with other devices. C: `cls_bpf_prog_from_efd()`.
pub(super) fn check_dev_bound(
    rtnl: &Rtnl,
    tp: TcfProto<'_>,
    prog: &TcProg,
    extack: &mut ExtAck<'_>,
) -> Result {
    if !prog.is_dev_bound() || tp.all_devices(rtnl, |dev| prog.is_bound_to(dev)) {
        return Ok(());
    }
    let why = if tp.is_shared() {
        c"Program is not bound to every device in the block"
    } else {
        c"Program is bound to a different device"
    };
    Err(extack.set_err(EINVAL, why))
}
