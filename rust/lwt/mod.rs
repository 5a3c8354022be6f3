// SPDX-License-Identifier: GPL-2.0-only

//! The `bpf` encapsulation: BPF programs on the packets of a route.
//!
//! What `ip route add ... encap bpf [in ..] [out ..] [xmit ..] [headroom N]` configures. In C:
//! `net/core/lwt_bpf.c`.

mod attrs;
mod gso;
mod push;
mod redirect;
mod reroute;
mod run;

#[cfg(lwtcls_kunit)]
#[path = "../../kunit/lwt.rs"]
mod suite;

use crate::abstractions::{
    bpf::{
        LwtIn,
        LwtOut,
        LwtXmit,
        Prog,
        ProgMem, //
    },
    net::{
        dst::Dst,
        encap::{
            EncapSkb,
            PushEncap, //
        },
        lwtunnel::{
            Built,
            Encap,
            Family,
            Verdict, //
        },
        netlink::{
            Attr,
            ExtAck,
            Message, //
        },
        skbuff::Skb, //
    },
    uapi::LWTUNNEL_ENCAP_BPF, //
};
use crate::name::ProgName;
use kernel::prelude::*;

/// A program on one of the hooks, with the name that the user gave it.
pub(crate) struct Hook<P> {
    prog: Prog<P>,
    name: ProgName,
}

/// The programs of one route.
pub(crate) struct BpfEncap {
    input: Option<Hook<LwtIn>>,
    output: Option<Hook<LwtOut>>,
    xmit: Option<Hook<LwtXmit>>,
}

#[vtable]
impl Encap for BpfEncap {
    const TYPE: u32 = LWTUNNEL_ENCAP_BPF;

    fn build(attr: Attr<'_>, family: Family, extack: &mut ExtAck<'_>) -> Result<Built<Self>> {
        attrs::parse(attr, family, extack)
    }

    #[inline(always)]
    fn input(&self, skb: Skb, dst: Dst<'_>) -> Result<Verdict> {
        match &self.input {
            Some(hook) => run::input(hook, skb, dst),
            None => Ok(Verdict::Continue(skb)),
        }
    }

    #[inline(always)]
    fn output(&self, skb: Skb, _dst: Dst<'_>) -> Result<Verdict> {
        match &self.output {
            Some(hook) => run::output(hook, skb),
            None => Ok(Verdict::Continue(skb)),
        }
    }

    #[inline(always)]
    fn xmit(&self, skb: Skb, dst: Dst<'_>) -> Result<Verdict> {
        match &self.xmit {
            Some(hook) => run::xmit(hook, skb, dst),
            None => Ok(Verdict::Continue(skb)),
        }
    }

    fn fill(&self, message: &mut Message<'_>) -> Result {
        attrs::fill(self, message)
    }

    fn size(&self) -> usize {
        attrs::SIZE
    }

    // A request to delete a route has programs of its own, loaded anew: what they are called and
    // what they do must do.
    fn same(&self, other: &Self) -> bool {
        fn identity<P>(hook: &Option<Hook<P>>) -> Option<(&CStr, &[u8; 8])> {
            hook.as_ref()
                .map(|hook| (hook.name.as_cstr(), hook.prog.tag()))
        }

        identity(&self.input) == identity(&other.input)
            && identity(&self.output) == identity(&other.output)
            && identity(&self.xmit) == identity(&other.xmit)
    }
}

impl PushEncap for BpfEncap {
    #[inline(always)]
    fn push(skb: EncapSkb<'_>, header: ProgMem<'_>) -> Result {
        push::push(skb, header)
    }
}
