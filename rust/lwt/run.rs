// SPDX-License-Identifier: GPL-2.0-only

//! What a program's return value does to the packet.

use super::Hook;
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
        lwtunnel::Verdict,
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
use kernel::{
    pr_warn_once,
    prelude::*, //
};

/// What a program asks for.
enum Asked {
    /// Nothing: the packet goes on.
    Ok,
    /// What `bpf_redirect()` noted.
    Redirect,
    /// A new route, for the program changed the packet.
    Reroute,
}

/// Runs the program of a hook. A packet that it drops, or for which it returns nonsense, is freed.
/// C: `run_lwt_bpf()`.
#[inline(always)]
fn run<P: LwtProg>(hook: &Hook<P>, mut skb: Skb) -> Result<(Skb, Asked)> {
    match RunContext::enter(|ctx| hook.prog.run(ctx, &mut skb)) {
        BPF_OK => Ok((skb, Asked::Ok)),
        BPF_REDIRECT => Ok((skb, Asked::Redirect)),
        BPF_LWT_REROUTE => Ok((skb, Asked::Reroute)),
        BPF_DROP => {
            skb.free(DropReason::NOT_SPECIFIED);
            Err(EPERM)
        }
        code => Err(illegal(code, skb)),
    }
}

/// An illegal return value costs the packet.
#[cold]
fn illegal(code: u32, skb: Skb) -> Error {
    pr_warn_once!("illegal return value {code} of an encap bpf program, the packet is dropped\n");
    skb.free(DropReason::NOT_SPECIFIED);
    EINVAL
}

/// A legal return value that is not there yet costs the packet too, rather than its meaning.
#[cold]
fn unsupported(what: &str, skb: Skb) -> Error {
    pr_warn_once!("{what} is not supported by encap bpf yet, the packet is dropped\n");
    skb.free(DropReason::NOT_SPECIFIED);
    EINVAL
}

/// Only xmit can redirect: elsewhere the packet goes on as if the program had not asked.
#[cold]
fn redirect_ignored() {
    pr_warn_once!("an encap bpf program may redirect on xmit only, the packet goes on\n");
}

/// C: `bpf_input()`.
#[inline(always)]
pub(super) fn input(hook: &Hook<LwtIn>, skb: Skb) -> Result<Verdict> {
    let (skb, asked) = run(hook, skb)?;
    match asked {
        Asked::Ok => (),
        Asked::Redirect => redirect_ignored(),
        Asked::Reroute => return Err(unsupported("BPF_LWT_REROUTE", skb)),
    }
    Ok(Verdict::Continue(skb))
}

/// C: `bpf_output()`.
#[inline(always)]
pub(super) fn output(hook: &Hook<LwtOut>, skb: Skb) -> Result<Verdict> {
    let (skb, asked) = run(hook, skb)?;
    match asked {
        // The route was just looked up: there is nothing to look up again.
        Asked::Ok | Asked::Reroute => (),
        Asked::Redirect => redirect_ignored(),
    }
    Ok(Verdict::Continue(skb))
}

/// C: `bpf_xmit()`.
#[inline(always)]
pub(super) fn xmit(hook: &Hook<LwtXmit>, skb: Skb, dst: Dst<'_>) -> Result<Verdict> {
    let reserved = dst.ll_reserved_space();
    let protocol = skb.protocol_be();

    let (mut skb, asked) = run(hook, skb)?;
    match asked {
        Asked::Ok => (),
        Asked::Redirect => return Err(unsupported("BPF_REDIRECT", skb)),
        Asked::Reroute => return Err(unsupported("BPF_LWT_REROUTE", skb)),
    }

    // A program that made another protocol of the packet had to ask for a new route.
    if skb.protocol_be() != protocol {
        skb.free(DropReason::INVALID_PROTO);
        return Err(EINVAL);
    }
    // The program may have used up the room for the link header, which neigh_hh_output() copies in
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
