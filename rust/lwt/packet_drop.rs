// SPDX-License-Identifier: GPL-2.0-only

//! Packets that are dropped although their program did not return `BPF_DROP`.

use super::{
    counters::Event,
    HookCtx,
    HookType, //
};
use crate::abstractions::{
    bpf::stats_enabled,
    net::skbuff::{
        DropReason,
        Skb, //
    },
    trace, //
};
use kernel::prelude::*;

/// The reason why a packet is dropped.
pub(super) struct PacketDrop {
    /// The event that is counted.
    event: Event,
    /// The errno for the sender.
    error: Error,
    /// The drop reason, as in the `skb:kfree_skb` tracepoint.
    reason: DropReason,
}

impl PacketDrop {
    #[inline(always)]
    pub(super) const fn new(event: Event, error: Error, reason: DropReason) -> Self {
        Self {
            event,
            error,
            reason,
        }
    }

    /// Returns the drop for a failed allocation.
    #[inline(always)]
    pub(super) const fn no_memory(error: Error) -> Self {
        Self::new(Event::NoMemory, error, DropReason::NOMEM)
    }

    /// Returns the drop for a header that is missing or not in the linear data.
    #[inline(always)]
    pub(super) const fn truncated() -> Self {
        Self::new(Event::Truncated, EINVAL, DropReason::HDR_TRUNC)
    }
}

impl<P: HookType> HookCtx<'_, P> {
    /// Counts, traces and frees a packet. Returns the errno for the sender.
    ///
    /// `code` is the return value of the program.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_packet(self, code: u32, drop: PacketDrop, skb: Skb) -> Error {
        let PacketDrop {
            event,
            error,
            reason,
        } = drop;
        // Return values, `Event::Illegal` among them, were counted when the program ran.
        if event != Event::Illegal && stats_enabled() {
            self.count(event);
        }
        trace::exception(&skb, P::NAME, self.hook.prog.id(), code, error, reason);
        skb.free(reason);
        error
    }
}
