// SPDX-License-Identifier: GPL-2.0-only

//! What is counted of a program on a route, while `kernel.bpf_stats_enabled` is 1.

use super::{
    HookType,
    Site, //
};
use crate::abstractions::{
    sync::percpu::Counters,
    uapi::{
        BPF_DROP,
        BPF_LWT_REROUTE,
        BPF_OK,
        BPF_REDIRECT, //
    }, //
};

macro_rules! counted {
    ($($(#[$doc:meta])* $name:ident = $key:literal,)*) => {
        /// Something that is counted.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(super) enum Counted {
            $($(#[$doc])* $name,)*
        }

        impl Counted {
            /// All of them, in the order in which they are shown, with their names.
            pub(super) const ALL: &[(Self, &str)] = &[$((Self::$name, $key),)*];
        }
    };
}

counted! {
    /// The program let the packet go on.
    Ok = "ok",
    /// The program asked for another route.
    Reroute = "reroute",
    /// The program asked for another device.
    Redirect = "redirect",
    /// The program dropped the packet.
    Drop = "drop",
    /// The program returned what is no verdict.
    Illegal = "illegal",
    /// There is no other route.
    NoRoute = "no_route",
    /// There is no other device, or not one that takes the packet as it is.
    NoDevice = "no_device",
    /// The packet's protocol is none that is routed, or not the one that it has to be.
    Protocol = "protocol",
    /// The packet lacks a header that is read.
    Truncated = "truncated",
    /// There is no memory.
    NoMemory = "no_memory",
    /// The packet was sent within the sending of others too deeply.
    Recursion = "recursion",
}

impl Counted {
    /// How many of them there are.
    const NUMBER: usize = Self::ALL.len();
    /// How many of them are what a program returned.
    const VERDICTS: usize = Self::Illegal as usize + 1;

    /// What a program returned.
    fn verdict(code: u32) -> Self {
        match code {
            BPF_OK => Self::Ok,
            BPF_LWT_REROUTE => Self::Reroute,
            BPF_REDIRECT => Self::Redirect,
            BPF_DROP => Self::Drop,
            _ => Self::Illegal,
        }
    }
}

/// The counters of one route: those of each hook.
pub(super) struct RouteCounters([Counters<{ Counted::NUMBER }>; 3]);

impl RouteCounters {
    pub(super) const fn new() -> Self {
        Self([Counters::new(), Counters::new(), Counters::new()])
    }

    /// What was counted of a hook: first the runs, then each.
    fn read<P: HookType>(&self) -> (u64, [u64; Counted::NUMBER]) {
        let sums = self
            .0
            .get(P::NUMBER)
            .and_then(Counters::sum)
            .unwrap_or([0; Counted::NUMBER]);
        (sums.iter().take(Counted::VERDICTS).sum(), sums)
    }
}

impl<P: HookType> Site<'_, P> {
    /// Counts one of something. What there is no memory for is not counted.
    #[cold]
    #[inline(never)]
    pub(super) fn count(self, what: Counted) {
        if let Some(counters) = self
            .extra()
            .and_then(|extra| extra.counters.0.get(P::NUMBER))
        {
            counters.add([(what as usize, 1)]);
        }
    }

    /// Counts a run that returned `code`.
    #[cold]
    #[inline(never)]
    pub(super) fn count_run(self, code: u32) {
        self.count(Counted::verdict(code));
    }

    /// What was counted: first the runs, then each.
    pub(super) fn counts(self) -> (u64, [u64; Counted::NUMBER]) {
        self.extra.get().map_or((0, [0; Counted::NUMBER]), |extra| {
            extra.counters.read::<P>()
        })
    }
}
