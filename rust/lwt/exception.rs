// SPDX-License-Identifier: GPL-2.0-only

//! Packets that their program did not drop, and that come to nothing all the same.

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

/// Why a packet comes to nothing.
pub(super) struct Exception {
    /// As what it is counted.
    counted: Counted,
    /// What its sender is told.
    error: Error,
    /// What the kernel is told.
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

    /// There is no memory.
    #[inline(always)]
    pub(super) const fn no_memory(error: Error) -> Self {
        Self::new(Counted::NoMemory, error, DropReason::NOMEM)
    }

    /// A header is not all there.
    #[inline(always)]
    pub(super) const fn truncated() -> Self {
        Self::new(Counted::Truncated, EINVAL, DropReason::HDR_TRUNC)
    }
}

impl<P: HookType> Site<'_, P> {
    /// Counts and traces what is to become of a packet, and frees it. `code` is what the program has
    /// returned. The result is for the packet's sender.
    #[cold]
    #[inline(never)]
    pub(super) fn give_up(self, code: u32, exception: Exception, skb: Skb) -> Error {
        let Exception {
            counted,
            error,
            reason,
        } = exception;
        // What a program returned was counted when it did.
        if counted != Counted::Illegal && stats_enabled() {
            self.count(counted);
        }
        trace::exception(&skb, P::NAME, self.hook.prog.id(), code, error, reason);
        skb.free(reason);
        error
    }
}
