// SPDX-License-Identifier: GPL-2.0-only

//! The encapsulation: configuration requests and the fate of packets.

mod attrs;
mod hooks;

use super::*;
use crate::abstractions::{
    compat::{
        EAFNOSUPPORT,
        ENOBUFS,
        EOPNOTSUPP, //
    },
    net::{
        lwtunnel::Purpose,
        netlink::MessageBuf, //
    },
    testing::{
        self,
        ExtAckBuf,
        Outcome,
        ProgWatch,
        Request, //
    },
    uapi::{
        ETH_P_IP,
        ETH_P_IPV6,
        LWT_BPF_IN,
        LWT_BPF_OUT,
        LWT_BPF_PROG_FD,
        LWT_BPF_PROG_NAME,
        LWT_BPF_XMIT,
        LWT_BPF_XMIT_HEADROOM, //
    }, //
};
use crate::name::ProgName;

/// A file descriptor that no process has open.
const CLOSED_FD: u32 = 1 << 30;

fn hook<P>(watch: &ProgWatch, text: &CStr) -> Result<HookProg<P>> {
    SharedCStr::init();
    let prog: ARef<Prog<P>> = watch.prog();
    let name = SharedCStr::new(prog.id(), text)?;
    Ok(HookProg { prog, name })
}

fn encap(
    input: Option<HookProg<LwtIn>>,
    output: Option<HookProg<LwtOut>>,
    xmit: Option<HookProg<LwtXmit>>,
) -> BpfEncap {
    BpfEncap {
        input,
        output,
        xmit,
        state: OnceBox::new(),
    }
}
