// SPDX-License-Identifier: GPL-2.0-only

//! Packets that are dropped although their program did not return `BPF_DROP`.

use super::{
    counters::Counted,
    HookType,
    Site, //
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
pub(super) struct Exception {
    /// The event that is counted.
    counted: Counted,
    /// The errno for the sender.
    error: Error,
    /// The drop reason, as in the `skb:kfree_skb` tracepoint.
    reason: DropReason,
}

impl Exception {
    #[inline(always)]
    pub(super) const fn new(counted: Counted, error: Error, reason: DropReason) -> Self {
        Self {
            counted,
            error,
            reason,
        }
    }

    /// Returns the exception for a failed allocation.
    #[inline(always)]
    pub(super) const fn no_memory(error: Error) -> Self {
        Self::new(Counted::NoMemory, error, DropReason::NOMEM)
    }

    /// Returns the exception for a header that is missing or not in the linear data.
    #[inline(always)]
    pub(super) const fn truncated() -> Self {
        Self::new(Counted::Truncated, EINVAL, DropReason::HDR_TRUNC)
    }
}

impl<P: HookType> Site<'_, P> {
    /// Counts, traces and frees a packet. Returns the errno for the sender.
    ///
    /// `code` is the return value of the program.
    #[cold]
    #[inline(never)]
    pub(super) fn give_up(self, code: u32, exception: Exception, skb: Skb) -> Error {
        let Exception {
            counted,
            error,
            reason,
        } = exception;
        // Return values, `Counted::Illegal` among them, were counted when the program ran.
        if counted != Counted::Illegal && stats_enabled() {
            self.count(counted);
        }
        trace::exception(&skb, P::NAME, self.hook.prog.id(), code, error, reason);
        skb.free(reason);
        error
    }
}
