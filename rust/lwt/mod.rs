// SPDX-License-Identifier: GPL-2.0-only

//! BPF lightweight tunnel encapsulation: runs BPF programs on the packets of a route.
//!
//! Configured by `ip route add ... encap bpf [in ..] [out ..] [xmit ..] [headroom N]`.
//!
//! C version: `net/core/lwt_bpf.c`.

mod attrs;
mod counters;
mod debugfs;
mod exception;
mod gso;
mod push;
mod redirect;
mod reroute;
mod route_cache;
mod run;

#[cfg(lwtcls_kunit)]
#[path = "../../kunit/lwt.rs"]
mod suite;

use crate::abstractions::{
    bpf::{
        name::SharedName,
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
    sync::{
        bottom_half::BhDisabled,
        lazy::Lazy, //
    },
    uapi::LWTUNNEL_ENCAP_BPF, //
};
use counters::RouteCounters;
use kernel::{
    alloc::flags::{
        GFP_NOWAIT,
        __GFP_NOWARN, //
    },
    prelude::*, //
};
use route_cache::RouteCache;

pub(crate) use debugfs::files;

/// A program type together with the hook that it attaches to.
pub(crate) trait HookType: LwtProg {
    /// The name of the hook, as in `ip route`.
    const NAME: &'static CStr;
    /// The index of the hook, 0 to 2.
    const NUMBER: usize;
}

impl HookType for LwtIn {
    const NAME: &'static CStr = c"in";
    const NUMBER: usize = 0;
}

impl HookType for LwtOut {
    const NAME: &'static CStr = c"out";
    const NUMBER: usize = 1;
}

impl HookType for LwtXmit {
    const NAME: &'static CStr = c"xmit";
    const NUMBER: usize = 2;
}

/// A program on one hook, with the name that userspace gave it.
pub(crate) struct Hook<P> {
    prog: Prog<P>,
    name: SharedName,
}

/// The tunnel state of one route: its programs.
pub(crate) struct BpfEncap {
    input: Option<Hook<LwtIn>>,
    output: Option<Hook<LwtOut>>,
    xmit: Option<Hook<LwtXmit>>,
    extra: Lazy<Extra>,
}

/// Per-route data that is allocated when the first packet is counted or rerouted.
struct Extra {
    counters: RouteCounters,
    cache: RouteCache,
}

/// A program of a route and the route's [`Extra`], as passed along the packet path.
struct Site<'a, P> {
    hook: &'a Hook<P>,
    extra: &'a Lazy<Extra>,
}

impl<P> Clone for Site<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Site<'_, P> {}

impl<'a, P> Site<'a, P> {
    /// Returns the [`Extra`] of the route, which the first call allocates.
    ///
    /// Returns `None` if the allocation fails.
    #[inline(always)]
    fn extra(self) -> Option<&'a Extra> {
        self.extra.get_or_init(GFP_NOWAIT | __GFP_NOWARN, || Extra {
            counters: RouteCounters::new(),
            cache: RouteCache::new(),
        })
    }
}

impl BpfEncap {
    #[inline(always)]
    fn site<'a, P: HookType>(&'a self, hook: &'a Option<Hook<P>>) -> Option<Site<'a, P>> {
        hook.as_ref().map(|hook| Site {
            hook,
            extra: &self.extra,
        })
    }
}

#[vtable]
impl Encap for BpfEncap {
    const TYPE: u32 = LWTUNNEL_ENCAP_BPF;
    const PREDECESSOR: &'static CStr = c"bpf_encap_ops";

    #[inline(always)]
    fn build<'a>(
        attr: Attr<'a>,
        family: Family,
        extack: &'a mut ExtAck<'_>,
    ) -> Result<Built<impl Init<Self, Error>>> {
        attrs::parse(attr, family, extack)
    }

    #[inline(always)]
    fn input(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Received>> {
        match self.site(&self.input) {
            Some(site) => run::input(bh, site, skb, dst),
            None => Ok(Verdict::Continue(skb)),
        }
    }

    #[inline(always)]
    fn output(&self, bh: &BhDisabled<'_>, skb: Skb, _dst: Dst<'_>) -> Result<Verdict<Sent>> {
        match self.site(&self.output) {
            Some(site) => run::output(bh, site, skb),
            None => Ok(Verdict::Continue(skb)),
        }
    }

    #[inline(always)]
    fn xmit(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Xmit {
        match self.site(&self.xmit) {
            Some(site) => run::xmit(bh, site, skb, dst),
            None => Xmit::go_on(skb),
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
        fn same_hook<P>(a: &Option<Hook<P>>, b: &Option<Hook<P>>, reloaded: bool) -> bool {
            match (a, b) {
                (Some(a), Some(b)) => {
                    a.name == b.name
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
