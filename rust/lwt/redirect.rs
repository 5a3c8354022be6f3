// SPDX-License-Identifier: GPL-2.0-only

//! `bpf_redirect()` on xmit.

use super::{
    counters::Counted,
    exception::Exception, //
};
use crate::abstractions::{
    bpf::RunContext,
    net::skbuff::{
        DropReason,
        Skb, //
    }, //
};
use kernel::{
    pr_warn_once,
    prelude::*, //
};

/// No device for the packet, or not one that takes it as it is.
fn refused(skb: Skb, reason: DropReason) -> Result<(), (Skb, Exception)> {
    Err((skb, Exception::new(Counted::NoDevice, EINVAL, reason)))
}

/// Sends a packet where its program said. Gives it back if that cannot be. C: `skb_do_redirect()`.
pub(super) fn redirect(ctx: &RunContext<'_>, mut skb: Skb) -> Result<(), (Skb, Exception)> {
    let target = ctx.take_redirect();
    skb.reset_mac_header();
    let Some(dev) = ctx.device(&skb, &target) else {
        return refused(skb, DropReason::NO_TX_TARGET);
    };
    // Neighbours and peers are for programs of tc. One that ran earlier in the same softirq may have
    // asked for them, and then let its packet go on.
    if !target.is_plain() {
        return refused(skb, DropReason::NO_TX_TARGET);
    }
    let mac_header = dev.has_mac_header();
    if mac_header {
        // The program has to have made one.
        if !skb.has_mac_header() || skb.len() == 0 {
            return refused(skb, DropReason::DEV_HDR);
        }
        if skb.at_tc_ingress() {
            skb.postpush_mac_header();
        }
    } else if !skb.strip_mac_header() {
        return Err((skb, Exception::truncated()));
    }

    // What becomes of it is the device's to count.
    if target.to_ingress() {
        dev.receive(skb, mac_header)
            .map_err(|skb| (skb, Exception::truncated()))
    } else {
        dev.transmit(ctx, skb).map_err(|skb| {
            pr_warn_once!("a packet is redirected in a loop, and dropped\n");
            let why = Exception::new(Counted::Recursion, ELOOP, DropReason::RECURSION_LIMIT);
            (skb, why)
        })
    }
}
