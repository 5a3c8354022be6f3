// SPDX-License-Identifier: GPL-2.0-only

//! `BPF_REDIRECT` on xmit.

use super::{
    counters::Event,
    packet_drop::PacketDrop,
    HookCtx, //
};
use crate::abstractions::{
    bpf::{
        BpfNetContext,
        LwtXmit, //
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

/// Drops a packet that cannot be redirected. The sender gets no error.
fn drop_redirect(cx: HookCtx<'_, LwtXmit>, skb: Skb, why: PacketDrop) {
    cx.drop_packet(BPF_REDIRECT, why, skb);
}

/// Returns the drop for a packet without a target device, or whose target device does not
/// accept it in its present form.
const fn no_device(reason: DropReason) -> PacketDrop {
    PacketDrop::new(Event::NoDevice, EINVAL, reason)
}

/// Redirects a packet to the target that its program set, or drops it. C: `skb_do_redirect()`.
pub(super) fn redirect(ctx: &BpfNetContext<'_>, cx: HookCtx<'_, LwtXmit>, mut skb: Skb) {
    let target = ctx.take_redirect();
    skb.reset_mac_header();
    let Some(dev) = ctx.device(&skb, &target) else {
        return drop_redirect(cx, skb, no_device(DropReason::NO_TX_TARGET));
    };
    // `bpf_redirect_neigh()` and `bpf_redirect_peer()` are tc-only. A tc program that ran earlier
    // in the same softirq may have left their flags, if it did not redirect its packet in the end.
    if !target.is_plain() {
        return drop_redirect(cx, skb, no_device(DropReason::NO_TX_TARGET));
    }
    let mac_header = dev.has_mac_header();
    if mac_header {
        // The device needs a MAC header, which the program must have added.
        if !skb.has_mac_header() || skb.len() == 0 {
            return drop_redirect(cx, skb, no_device(DropReason::DEV_HDR));
        }
        if skb.at_tc_ingress() {
            skb.postpush_mac_header();
        }
    } else if !skb.strip_mac_header() {
        return drop_redirect(cx, skb, PacketDrop::truncated());
    }

    // From here on, drops are counted in the statistics of the device.
    if target.to_ingress() {
        if let Err(skb) = dev.receive(skb, mac_header) {
            drop_redirect(cx, skb, PacketDrop::truncated());
        }
    } else if let Err(skb) = dev.transmit(ctx, skb) {
        pr_warn_once!("a packet is redirected in a loop, and dropped\n");
        let why = PacketDrop::new(Event::Recursion, ELOOP, DropReason::RECURSION_LIMIT);
        drop_redirect(cx, skb, why);
    }
}
