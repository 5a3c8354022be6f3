// SPDX-License-Identifier: GPL-2.0-only

//! What a program's return value does to the packet.

use super::{
    redirect,
    reroute,
    Hook, //
};
use crate::abstractions::{
    bpf::{
        LwtIn,
        LwtOut,
        LwtProg,
        LwtXmit,
        RunContext, //
    },
    net::{
        dst::Dst,
        lwtunnel::{
            Received,
            Sent,
            Verdict, //
        },
        skbuff::{
            DropReason,
            Skb, //
        }, //
    },
    uapi::{
        BPF_DROP,
        BPF_LWT_REROUTE,
        BPF_OK,
        BPF_REDIRECT, //
    }, //
};
use core::convert::Infallible;
use kernel::{
    pr_warn_once,
    prelude::*, //
};

/// What is left to do when a program has run.
enum Asked<R> {
    /// Nothing: the packet goes on.
    Ok(Skb),
    /// A new route, for the program changed the packet.
    Reroute(Skb),
    /// Nothing: the packet went where `bpf_redirect()` said.
    Redirected(R),
}

/// Runs the program of a hook. A packet that it drops, or for which it returns nonsense, is freed.
/// `redirect` has the packet that the program redirects, with bottom halves still off: what
/// `bpf_redirect()` notes belongs to this CPU. C: `run_lwt_bpf()`.
#[inline(always)]
fn run<P: LwtProg, R>(
    hook: &Hook<P>,
    mut skb: Skb,
    redirect: impl FnOnce(&RunContext<'_>, Skb) -> Asked<R>,
) -> Result<Asked<R>> {
    RunContext::enter(|ctx| match hook.prog.run(ctx, &mut skb) {
        BPF_OK => Ok(Asked::Ok(skb)),
        BPF_LWT_REROUTE => Ok(Asked::Reroute(skb)),
        BPF_REDIRECT => Ok(redirect(ctx, skb)),
        BPF_DROP => {
            skb.free(DropReason::NOT_SPECIFIED);
            Err(EPERM)
        }
        code => Err(illegal(code, skb)),
    })
}

/// An illegal return value costs the packet.
#[cold]
fn illegal(code: u32, skb: Skb) -> Error {
    pr_warn_once!("illegal return value {code} of an encap bpf program, the packet is dropped\n");
    skb.free(DropReason::NOT_SPECIFIED);
    EINVAL
}

/// Only xmit can redirect: elsewhere the packet goes on as if the program had not asked.
#[cold]
fn redirect_ignored<P>(hook: &Hook<P>, skb: Skb) -> Asked<Infallible> {
    pr_warn_once!(
        "the encap bpf program {} redirects, which only xmit can: the packet goes on\n",
        hook.name.as_cstr()
    );
    Asked::Ok(skb)
}

/// C: `bpf_input()`.
#[inline(always)]
pub(super) fn input(hook: &Hook<LwtIn>, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Received>> {
    match run(hook, skb, |_, skb| redirect_ignored(hook, skb))? {
        Asked::Ok(skb) => Ok(Verdict::Continue(skb)),
        Asked::Reroute(skb) => reroute::input(skb, dst),
        Asked::Redirected(never) => match never {},
    }
}

/// C: `bpf_output()`.
#[inline(always)]
pub(super) fn output(hook: &Hook<LwtOut>, skb: Skb) -> Result<Verdict<Sent>> {
    match run(hook, skb, |_, skb| redirect_ignored(hook, skb))? {
        // The route was just looked up: there is nothing to look up again.
        Asked::Ok(skb) | Asked::Reroute(skb) => Ok(Verdict::Continue(skb)),
        Asked::Redirected(never) => match never {},
    }
}

/// C: `bpf_xmit()`.
#[inline(always)]
pub(super) fn xmit(hook: &Hook<LwtXmit>, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Sent>> {
    let reserved = dst.dev().ll_reserved_space();
    let protocol = skb.protocol_be();

    let asked = run(hook, skb, |ctx, skb| {
        redirect::redirect(ctx, skb);
        Asked::Redirected(Sent::OK)
    })?;
    let mut skb = match asked {
        Asked::Ok(skb) => skb,
        Asked::Reroute(skb) => return reroute::xmit(skb, dst),
        Asked::Redirected(sent) => return Ok(Verdict::Consumed(sent)),
    };

    // A program that made another protocol of the packet had to ask for a new route.
    if skb.protocol_be() != protocol {
        skb.free(DropReason::INVALID_PROTO);
        return Err(EINVAL);
    }
    // The program may have used up the room for the MAC header, which neigh_hh_output() copies in
    // aligned chunks and without a check.
    let headroom = skb.headroom();
    if headroom < reserved {
        if let Err(error) = skb.expand_headroom(reserved - headroom) {
            skb.free(DropReason::NOMEM);
            return Err(error);
        }
    }
    Ok(Verdict::Continue(skb))
}
