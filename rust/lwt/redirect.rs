// SPDX-License-Identifier: GPL-2.0-only

//! `bpf_redirect()` on xmit.

use crate::abstractions::{
    bpf::RunContext,
    net::skbuff::{
        DropReason,
        Skb, //
    }, //
};
use kernel::pr_warn_once;

/// Sends a packet where its program said, or frees it. C: `skb_do_redirect()`.
pub(super) fn redirect(ctx: &RunContext<'_>, mut skb: Skb) {
    let target = ctx.take_redirect();
    skb.reset_mac_header();
    let Some(dev) = ctx.device(&skb, &target) else {
        return skb.free(DropReason::NOT_SPECIFIED);
    };
    // Neighbours and peers are for programs of tc. One that ran earlier in the same softirq may have
    // asked for them, and then let its packet go on.
    if !target.is_plain() {
        return skb.free(DropReason::NOT_SPECIFIED);
    }
    let mac_header = dev.has_mac_header();
    if mac_header {
        // The program has to have made one.
        if !skb.has_mac_header() || skb.len() == 0 {
            return skb.free(DropReason::NOT_SPECIFIED);
        }
        if skb.at_tc_ingress() {
            skb.postpush_mac_header();
        }
    } else if !skb.strip_mac_header() {
        return skb.free(DropReason::NOT_SPECIFIED);
    }

    // What becomes of it is the device's to count.
    if target.to_ingress() {
        if let Err(skb) = dev.receive(skb, mac_header) {
            skb.free(DropReason::NOT_SPECIFIED);
        }
    } else if let Err(skb) = dev.transmit(ctx, skb) {
        pr_warn_once!("a packet is redirected in a loop, and dropped\n");
        skb.free(DropReason::NOT_SPECIFIED);
    }
}
