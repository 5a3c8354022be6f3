// SPDX-License-Identifier: GPL-2.0-only

//! `bpf_redirect()` on xmit.

use crate::abstractions::{
    bpf::RunContext,
    net::{
        netdevice::XmitRecursion,
        skbuff::{
            DropReason,
            Skb, //
        }, //
    },
};
use kernel::pr_warn_once;

/// Sends a packet where its program said, or frees it. C: `skb_do_redirect()`.
pub(super) fn redirect(ctx: &RunContext<'_>, mut skb: Skb) {
    let target = ctx.take_redirect();
    skb.reset_mac_header();
    let Some(dev) = ctx.device(&skb, &target) else {
        return skb.free(DropReason::NOT_SPECIFIED);
    };
    // Neighbours and peers are for programs of tc: nobody can have asked for them.
    if !target.is_plain() {
        return skb.free(DropReason::NOT_SPECIFIED);
    }
    let link_header = dev.has_link_header();
    if link_header {
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
        dev.receive(skb, link_header);
    } else {
        match XmitRecursion::enter(ctx) {
            Some(guard) => {
                dev.transmit(&guard, skb);
            }
            None => {
                pr_warn_once!("a packet is redirected in a loop, and dropped\n");
                skb.free(DropReason::NOT_SPECIFIED);
            }
        }
    }
}
