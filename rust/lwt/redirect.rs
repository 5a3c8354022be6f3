// SPDX-License-Identifier: GPL-2.0-only

//! `bpf_redirect()` on xmit.

use super::{
    counters::Counted,
    exception::Exception,
    Site, //
};
use crate::abstractions::{
    bpf::{
        LwtXmit,
        RunContext, //
    },
    compat::ELOOP,
    net::skbuff::{
        DropReason,
        Skb, //
    },
    uapi::BPF_REDIRECT, //
};
use kernel::{
    pr_warn_once,
    prelude::*, //
};

/// The packet cannot go where its program said, of which the sender is not told.
fn refused(site: Site<'_, LwtXmit>, skb: Skb, why: Exception) {
    site.give_up(BPF_REDIRECT, why, skb);
}

/// There is no device for the packet, or it is not one that takes the packet as it is.
const fn no_device(reason: DropReason) -> Exception {
    Exception::new(Counted::NoDevice, EINVAL, reason)
}

/// Sends a packet where its program said, or frees it. C: `skb_do_redirect()`.
pub(super) fn redirect(ctx: &RunContext<'_>, site: Site<'_, LwtXmit>, mut skb: Skb) {
    let target = ctx.take_redirect();
    skb.reset_mac_header();
    let Some(dev) = ctx.device(&skb, &target) else {
        return refused(site, skb, no_device(DropReason::NO_TX_TARGET));
    };
    // Neighbours and peers are for programs of tc. One that ran earlier in the same softirq may have
    // asked for them, and then let its packet go on.
    if !target.is_plain() {
        return refused(site, skb, no_device(DropReason::NO_TX_TARGET));
    }
    let mac_header = dev.has_mac_header();
    if mac_header {
        // The program has to have made one.
        if !skb.has_mac_header() || skb.len() == 0 {
            return refused(site, skb, no_device(DropReason::DEV_HDR));
        }
        if skb.at_tc_ingress() {
            skb.postpush_mac_header();
        }
    } else if !skb.strip_mac_header() {
        return refused(site, skb, Exception::truncated());
    }

    // What becomes of it is the device's to count.
    if target.to_ingress() {
        if let Err(skb) = dev.receive(skb, mac_header) {
            refused(site, skb, Exception::truncated());
        }
    } else if let Err(skb) = dev.transmit(ctx, skb) {
        pr_warn_once!("a packet is redirected in a loop, and dropped\n");
        let why = Exception::new(Counted::Recursion, ELOOP, DropReason::RECURSION_LIMIT);
        refused(site, skb, why);
    }
}
