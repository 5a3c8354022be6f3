// SPDX-License-Identifier: GPL-2.0-only

//! The `bpf` encapsulation: BPF programs on the packets of a route.
//!
//! What `ip route add ... encap bpf [in ..] [out ..] [xmit ..] [headroom N]` configures. In C:
//! `net/core/lwt_bpf.c`.

mod attrs;
mod counters;
mod debugfs;
mod exception;
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
        LwtProg,
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
            Purpose,
            Received,
            Sent,
            Verdict,
            Xmit, //
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
use counters::HookCounters;
use kernel::prelude::*;

pub(crate) use debugfs::files;

/// A type of program, which is that of a hook.
pub(crate) trait HookType: LwtProg {
    /// The hook's name, as `ip` has it.
    const NAME: &'static CStr;
}

impl HookType for LwtIn {
    const NAME: &'static CStr = c"in";
}

impl HookType for LwtOut {
    const NAME: &'static CStr = c"out";
}

impl HookType for LwtXmit {
    const NAME: &'static CStr = c"xmit";
}

/// A program on one of the hooks, with the name that the user gave it.
pub(crate) struct Hook<P> {
    prog: Prog<P>,
    name: ProgName,
    counters: HookCounters,
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
    const PREDECESSOR: &'static CStr = c"bpf_encap_ops";

    fn build<'a>(
        attr: Attr<'a>,
        family: Family,
        extack: &'a mut ExtAck<'_>,
    ) -> Result<Built<impl Init<Self, Error>>> {
        attrs::parse(attr, family, extack)
    }

    #[inline(always)]
    fn input(&self, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Received>> {
        match &self.input {
            Some(hook) => run::input(hook, skb, dst),
            None => Ok(Verdict::Continue(skb)),
        }
    }

    #[inline(always)]
    fn output(&self, skb: Skb, _dst: Dst<'_>) -> Result<Verdict<Sent>> {
        match &self.output {
            Some(hook) => run::output(hook, skb),
            None => Ok(Verdict::Continue(skb)),
        }
    }

    #[inline(always)]
    fn xmit(&self, skb: Skb, dst: Dst<'_>) -> Xmit {
        match &self.xmit {
            Some(hook) => run::xmit(hook, skb, dst),
            None => Xmit::go_on(skb),
        }
    }

    fn fill(&self, headroom: u16, message: &mut Message<'_>) -> Result {
        attrs::fill(self, headroom, message)
    }

    fn size(&self) -> usize {
        attrs::SIZE
    }

    // A delete request loads its programs again, so names and tags are compared. A new route only
    // shares what another one has if it runs the very same programs: the tag does not cover what is
    // in a program's maps, its constants among them.
    fn same(&self, other: &Self, purpose: Purpose) -> bool {
        fn same_hook<P>(a: &Option<Hook<P>>, b: &Option<Hook<P>>, reloaded: bool) -> bool {
            match (a, b) {
                (Some(a), Some(b)) => {
                    a.name.as_cstr() == b.name.as_cstr()
                        && if reloaded {
                            a.prog.tag() == b.prog.tag()
                        } else {
                            a.prog.is(&b.prog)
                        }
                }
                (None, None) => true,
                _ => false,
            }
        }

        let reloaded = purpose == Purpose::Match;
        same_hook(&self.input, &other.input, reloaded)
            && same_hook(&self.output, &other.output, reloaded)
            && same_hook(&self.xmit, &other.xmit, reloaded)
    }
}

impl PushEncap for BpfEncap {
    #[inline(always)]
    fn push(skb: EncapSkb<'_>, header: ProgMem<'_>) -> Result {
        push::push(skb, header)
    }
}
