// SPDX-License-Identifier: GPL-2.0-only

//! BPF lightweight tunnel encapsulation: runs BPF programs on the packets of a route.
//!
//! Configured by `ip route add ... encap bpf [in ..] [out ..] [xmit ..] [headroom N]`.
//!
//! C version: `net/core/lwt_bpf.c`.

mod attrs;
mod counters;
mod debugfs;
mod gso;
mod ip_key;
mod packet_drop;
mod push;
mod redirect;
mod reroute;
mod route_cache;
mod run;

#[cfg(lwtcls_kunit)]
#[path = "../../kunit/lwt/mod.rs"]
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
            Encap,
            EncapConfig,
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
    str::SharedCStr,
    sync::{
        bottom_half::BhDisabled,
        once_box::OnceBox, //
    },
    uapi::LWTUNNEL_ENCAP_BPF, //
};
use counters::RouteCounters;
use kernel::{
    alloc::flags::{
        GFP_NOWAIT,
        __GFP_NOWARN, //
    },
    prelude::*,
    sync::aref::ARef, //
};
use route_cache::RouteCache;

pub(crate) use debugfs::create_files;

/// A program type together with the hook that it attaches to.
pub(crate) trait HookType: LwtProg {
    /// The name of the hook, as in `ip route`.
    const NAME: &'static CStr;
    /// The index of the hook, 0 to 2.
    const INDEX: usize;
}

impl HookType for LwtIn {
    const NAME: &'static CStr = c"in";
    const INDEX: usize = 0;
}

impl HookType for LwtOut {
    const NAME: &'static CStr = c"out";
    const INDEX: usize = 1;
}

impl HookType for LwtXmit {
    const NAME: &'static CStr = c"xmit";
    const INDEX: usize = 2;
}

/// A program on one hook, with the name that userspace gave it.
pub(crate) struct HookProg<P> {
    prog: ARef<Prog<P>>,
    name: SharedCStr,
}

/// The tunnel state of one route: its programs.
pub(crate) struct BpfEncap {
    input: Option<HookProg<LwtIn>>,
    output: Option<HookProg<LwtOut>>,
    xmit: Option<HookProg<LwtXmit>>,
    state: OnceBox<RouteState>,
}

/// Per-route data that is allocated when the first packet is counted or rerouted.
struct RouteState {
    counters: RouteCounters,
    cache: RouteCache,
}

/// A program of a route and the route's [`RouteState`], as passed along the packet path.
struct HookCtx<'a, P> {
    hook: &'a HookProg<P>,
    state: &'a OnceBox<RouteState>,
}

impl<P> Clone for HookCtx<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for HookCtx<'_, P> {}

impl<'a, P> HookCtx<'a, P> {
    /// Returns the [`RouteState`] of the route, which the first call allocates.
    ///
    /// Returns `None` if the allocation fails.
    #[inline(always)]
    fn state(self) -> Option<&'a RouteState> {
        self.state
            .get_or_init(GFP_NOWAIT | __GFP_NOWARN, || RouteState {
                counters: RouteCounters::new(),
                cache: RouteCache::new(),
            })
    }
}

impl BpfEncap {
    #[inline(always)]
    fn cx<'a, P: HookType>(&'a self, hook: &'a Option<HookProg<P>>) -> Option<HookCtx<'a, P>> {
        hook.as_ref().map(|hook| HookCtx {
            hook,
            state: &self.state,
        })
    }
}

#[vtable]
impl Encap for BpfEncap {
    const TYPE: u32 = LWTUNNEL_ENCAP_BPF;
    const BUILTIN_OPS: &'static CStr = c"bpf_encap_ops";

    #[inline(always)]
    fn build<'a>(
        attr: Attr<'a>,
        family: Family,
        extack: &'a mut ExtAck<'_>,
    ) -> Result<EncapConfig<impl Init<Self, Error>>> {
        attrs::parse(attr, family, extack)
    }

    #[inline(always)]
    fn input(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Received>> {
        match self.cx(&self.input) {
            Some(cx) => run::input(bh, cx, skb, dst),
            None => Ok(Verdict::Continue(skb)),
        }
    }

    #[inline(always)]
    fn output(&self, bh: &BhDisabled<'_>, skb: Skb, _dst: Dst<'_>) -> Result<Verdict<Sent>> {
        match self.cx(&self.output) {
            Some(cx) => run::output(bh, cx, skb),
            None => Ok(Verdict::Continue(skb)),
        }
    }

    #[inline(always)]
    fn xmit(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Xmit {
        match self.cx(&self.xmit) {
            Some(cx) => run::xmit(bh, cx, skb, dst),
            None => Xmit::cont(skb),
        }
    }

    #[inline(always)]
    fn fill(&self, headroom: u16, message: &mut Message<'_>) -> Result {
        attrs::fill(self, headroom, message)
    }

    fn size(&self) -> usize {
        attrs::SIZE
    }

    // A delete request loads its programs again, so it matches by name and tag. A new route matches
    // another one, and may then share its nexthop, only if both run the same loaded programs: the
    // tag does not cover the contents of maps, and a program's constants are in maps.
    #[inline(always)]
    fn same(&self, other: &Self, purpose: Purpose) -> bool {
        #[inline(always)]
        fn same_prog<P>(a: &Option<HookProg<P>>, b: &Option<HookProg<P>>, by_tag: bool) -> bool {
            match (a, b) {
                (Some(a), Some(b)) => {
                    a.name == b.name
                        && if by_tag {
                            a.prog.tag() == b.prog.tag()
                        } else {
                            a.prog.is(&b.prog)
                        }
                }
                (None, None) => true,
                _ => false,
            }
        }

        let by_tag = purpose == Purpose::DelRoute;
        same_prog(&self.input, &other.input, by_tag)
            && same_prog(&self.output, &other.output, by_tag)
            && same_prog(&self.xmit, &other.xmit, by_tag)
    }
}

impl PushEncap for BpfEncap {
    #[inline(always)]
    fn push(skb: EncapSkb<'_>, header: ProgMem<'_>) -> Result {
        push::push(skb, header)
    }
}
