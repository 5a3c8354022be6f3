// SPDX-License-Identifier: GPL-2.0-only

//! Packet path: runs a program, and acts on its return value.

use super::{
    counters::Event,
    packet_drop::PacketDrop,
    redirect,
    reroute,
    HookCtx,
    HookType, //
};
use crate::abstractions::{
    bpf::{
        stats_enabled,
        BpfNetContext,
        LwtIn,
        LwtOut,
        LwtXmit,
        Prog, //
    },
    net::{
        dst::Dst,
        lwtunnel::{
            Received,
            Sent,
            Verdict,
            Xmit, //
        },
        skbuff::{
            DropReason,
            Skb, //
        }, //
    },
    sync::bottom_half::BhDisabled,
    uapi::{
        BPF_DROP,
        BPF_LWT_REROUTE,
        BPF_OK,
        BPF_REDIRECT, //
    }, //
};
use kernel::{
    pr_warn_once,
    prelude::*, //
};

/// Frees a packet that its program drops (`BPF_DROP`). Returns the errno for the sender.
#[inline(always)]
fn free_dropped(skb: Skb) -> Error {
    skb.free(DropReason::NOT_SPECIFIED);
    EPERM
}

/// Warns that `BPF_REDIRECT` is only valid on xmit. On other hooks it is treated as `BPF_OK`.
#[cold]
fn warn_redirect<P>(cx: HookCtx<'_, P>) {
    pr_warn_once!(
        "the encap bpf program {} redirects, which only xmit can: the packet goes on\n",
        cx.hook.name.as_cstr()
    );
}

impl<P: HookType> HookCtx<'_, P> {
    /// Runs the program on a packet, and counts the run. Then calls `f` with the packet and the
    /// program's return value, in the same BPF network context, and returns its result.
    #[inline(always)]
    fn run<R>(
        self,
        bh: &BhDisabled<'_>,
        mut skb: Skb,
        f: impl FnOnce(&BpfNetContext<'_>, Skb, u32) -> R,
    ) -> R {
        // Read before the context is entered: afterwards the pointer would be read once more.
        let prog: &Prog<P> = &self.hook.prog;
        BpfNetContext::enter(bh, |ctx| {
            let code = prog.run(ctx, &mut skb);
            if stats_enabled() {
                self.count_ret(code);
            }
            f(ctx, skb, code)
        })
    }

    /// Drops a packet whose program returned no valid verdict. Returns the errno for the sender.
    #[cold]
    fn drop_illegal(self, code: u32, skb: Skb) -> Error {
        pr_warn_once!(
            "illegal return value {code} of an encap bpf program, the packet is dropped\n"
        );
        let why = PacketDrop::new(Event::Illegal, EINVAL, DropReason::NOT_SPECIFIED);
        self.drop_packet(code, why, skb)
    }
}

/// Runs the `in` program. C: `bpf_input()`, `run_lwt_bpf()`.
#[inline(always)]
pub(super) fn input(
    bh: &BhDisabled<'_>,
    cx: HookCtx<'_, LwtIn>,
    skb: Skb,
    dst: Dst<'_>,
) -> Result<Verdict<Received>> {
    let (skb, code) = cx.run(bh, skb, |_, skb, code| (skb, code));
    match code {
        BPF_OK => Ok(Verdict::Continue(skb)),
        BPF_LWT_REROUTE => reroute::input(skb, dst)
            .map(Verdict::Consumed)
            .map_err(|(skb, why)| cx.drop_packet(BPF_LWT_REROUTE, why, skb)),
        BPF_DROP => Err(free_dropped(skb)),
        BPF_REDIRECT => {
            warn_redirect(cx);
            Ok(Verdict::Continue(skb))
        }
        code => Err(cx.drop_illegal(code, skb)),
    }
}

/// Runs the `out` program. C: `bpf_output()`, `run_lwt_bpf()`.
#[inline(always)]
pub(super) fn output(
    bh: &BhDisabled<'_>,
    cx: HookCtx<'_, LwtOut>,
    skb: Skb,
) -> Result<Verdict<Sent>> {
    let (skb, code) = cx.run(bh, skb, |_, skb, code| (skb, code));
    match code {
        // No reroute: the output route has just been looked up.
        BPF_OK | BPF_LWT_REROUTE => Ok(Verdict::Continue(skb)),
        BPF_DROP => Err(free_dropped(skb)),
        BPF_REDIRECT => {
            warn_redirect(cx);
            Ok(Verdict::Continue(skb))
        }
        code => Err(cx.drop_illegal(code, skb)),
    }
}

/// Runs the `xmit` program. C: `bpf_xmit()`, `run_lwt_bpf()`.
#[inline(always)]
pub(super) fn xmit(bh: &BhDisabled<'_>, cx: HookCtx<'_, LwtXmit>, skb: Skb, dst: Dst<'_>) -> Xmit {
    let protocol = skb.protocol_be();

    let left = cx.run(bh, skb, |ctx, skb, code| match code {
        // Inside the BPF network context, which has the target that `bpf_redirect()` set.
        BPF_REDIRECT => {
            redirect::redirect(ctx, cx, skb);
            None
        }
        code => Some((skb, code)),
    });
    let Some((mut skb, code)) = left else {
        return Xmit::consumed(Ok(Sent::OK));
    };
    match code {
        BPF_OK => {}
        BPF_LWT_REROUTE => {
            let sent = reroute::xmit(bh, cx, skb, dst);
            return Xmit::consumed(sent.map_err(|(skb, why)| cx.drop_packet(code, why, skb)));
        }
        BPF_DROP => return Xmit::consumed(Err(free_dropped(skb))),
        code => return Xmit::consumed(Err(cx.drop_illegal(code, skb))),
    }

    // A program that changes the protocol has to return BPF_LWT_REROUTE.
    if skb.protocol_be() != protocol {
        let why = PacketDrop::new(Event::Protocol, EINVAL, DropReason::INVALID_PROTO);
        return Xmit::consumed(Err(cx.drop_packet(code, why, skb)));
    }
    // The program may have used up the headroom for the MAC header. neigh_hh_output() copies the
    // MAC header in aligned chunks, and drops the packet with a WARN if there is no headroom for
    // them.
    let reserved = dst.dev().ll_reserved_space();
    let headroom = skb.headroom();
    if headroom < reserved {
        if let Err(error) = skb.expand_headroom(reserved - headroom) {
            let why = PacketDrop::no_memory(error);
            return Xmit::consumed(Err(cx.drop_packet(code, why, skb)));
        }
    }
    Xmit::cont(skb)
}
