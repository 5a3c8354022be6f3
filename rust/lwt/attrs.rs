// SPDX-License-Identifier: GPL-2.0-only

//! Netlink attributes of the encapsulation (`LWT_BPF_*`, `include/uapi/linux/lwtunnel.h`).

use super::{
    BpfEncap,
    HookProg, //
};
use crate::abstractions::{
    bpf::{
        LwtProg,
        Prog, //
    },
    compat::EAFNOSUPPORT,
    net::{
        lwtunnel::{
            EncapConfig,
            Family, //
        },
        netlink::{
            self,
            Attr,
            ExtAck,
            Message, //
        }, //
    },
    str::SharedCStr,
    sync::once_box::OnceBox,
    uapi::{
        LWT_BPF_IN,
        LWT_BPF_MAX_HEADROOM,
        LWT_BPF_OUT,
        LWT_BPF_PROG_FD,
        LWT_BPF_PROG_NAME,
        LWT_BPF_XMIT,
        LWT_BPF_XMIT_HEADROOM,
        __LWT_BPF_MAX,
        __LWT_BPF_PROG_MAX, //
    }, //
};
use crate::name::ProgName;
use kernel::prelude::*;

/// Maximum size of what [`fill`] writes: three programs with names of full length, and the
/// headroom.
pub(super) const SIZE: usize = 3 * netlink::total_size(netlink::total_size(ProgName::MAX + 1))
    + netlink::total_size(size_of::<u32>());

/// Parses the attributes of a request. C: `bpf_build_state()`.
///
/// The returned initializer looks up the programs and takes a reference to each.
#[inline(always)]
pub(super) fn parse<'a, 'b>(
    attr: Attr<'a>,
    family: Family,
    extack: &'a mut ExtAck<'b>,
) -> Result<EncapConfig<impl Init<BpfEncap, Error> + use<'a, 'b>>> {
    if family != Family::INET && family != Family::INET6 {
        return Err(extack.set_err_attr(
            EAFNOSUPPORT,
            attr,
            c"bpf encapsulation is for IPv4 and IPv6 routes only",
        ));
    }

    let attrs = attr.nested::<__LWT_BPF_MAX>(extack)?;
    let headroom = match attrs.get::<LWT_BPF_XMIT_HEADROOM>() {
        Some(attr) => parse_headroom(attr, extack)?,
        None => 0,
    };
    let (input, output, xmit) = (
        attrs.get::<LWT_BPF_IN>(),
        attrs.get::<LWT_BPF_OUT>(),
        attrs.get::<LWT_BPF_XMIT>(),
    );
    if input.is_none() && output.is_none() && xmit.is_none() {
        return Err(extack.set_err_attr(
            EINVAL,
            attr,
            c"bpf encapsulation needs a program: in, out or xmit",
        ));
    }

    Ok(EncapConfig {
        input: input.is_some(),
        output: output.is_some(),
        xmit: xmit.is_some(),
        headroom,
        encap: try_init!(BpfEncap {
            input: parse_hook(input, extack)?,
            output: parse_hook(output, extack)?,
            xmit: parse_hook(xmit, extack)?,
            state: OnceBox::new(),
        }),
    })
}

fn parse_headroom(attr: Attr<'_>, extack: &mut ExtAck<'_>) -> Result<u16> {
    match attr.u32(extack)? {
        headroom @ 0..=LWT_BPF_MAX_HEADROOM => Ok(headroom as u16),
        _ => Err(extack.set_err_attr(ERANGE, attr, c"headroom is at most 256 bytes")),
    }
}

#[inline(always)]
fn parse_hook<P: LwtProg>(
    attr: Option<Attr<'_>>,
    extack: &mut ExtAck<'_>,
) -> Result<Option<HookProg<P>>> {
    let Some(attr) = attr else {
        return Ok(None);
    };
    let (fd, name) = parse_prog_attrs(attr, extack)?;
    let prog = Prog::from_fd(fd.u32(extack)?).map_err(|error| {
        let why = if error == EBADF {
            c"the program's file descriptor is not open"
        } else {
            c"the file descriptor does not refer to a BPF program of this hook's type"
        };
        extack.set_err_attr(error, fd, why)
    })?;
    let name = SharedCStr::new(prog.id(), name)?;
    Ok(Some(HookProg { prog, name }))
}

/// Returns the attribute with the file descriptor of a program, and the name of the program.
#[inline(always)]
fn parse_prog_attrs<'a>(attr: Attr<'a>, extack: &mut ExtAck<'_>) -> Result<(Attr<'a>, &'a CStr)> {
    let attrs = attr.nested::<__LWT_BPF_PROG_MAX>(extack)?;
    let Some(fd) = attrs.get::<LWT_BPF_PROG_FD>() else {
        return Err(extack.set_err_attr(
            EINVAL,
            attr,
            c"the file descriptor of a program is missing",
        ));
    };
    let Some(name) = attrs.get::<LWT_BPF_PROG_NAME>() else {
        return Err(extack.set_err_attr(EINVAL, attr, c"the name of the program is missing"));
    };
    Ok((fd, ProgName::read(name, extack)?))
}

/// Dumps the names of the programs, and the headroom unless it is 0. C: `bpf_fill_encap_info()`.
///
/// File descriptors are not dumped: they mean nothing to another process.
#[inline(always)]
pub(super) fn fill(encap: &BpfEncap, headroom: u16, message: &mut Message<'_>) -> Result {
    fill_hook(&encap.input, LWT_BPF_IN, message)?;
    fill_hook(&encap.output, LWT_BPF_OUT, message)?;
    fill_hook(&encap.xmit, LWT_BPF_XMIT, message)?;
    if headroom == 0 {
        return Ok(());
    }
    message.put_u32(LWT_BPF_XMIT_HEADROOM as u32, headroom.into())
}

fn fill_hook<P>(hook: &Option<HookProg<P>>, attr: usize, message: &mut Message<'_>) -> Result {
    let Some(hook) = hook else {
        return Ok(());
    };
    message.nest(attr as u32, |message| {
        message.put_str(LWT_BPF_PROG_NAME as u32, hook.name.as_cstr())
    })
}
