// SPDX-License-Identifier: GPL-2.0-only

//! Statistics of a program on a route, collected while BPF statistics are enabled (sysctl
//! `kernel.bpf_stats_enabled`).

use super::{
    HookCtx,
    HookType, //
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

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $key:literal,)*) => {
        /// An event that is counted.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(super) enum Event {
            $($(#[$doc])* $name,)*
        }

        impl Event {
            /// All events with their names, in the order in which debugfs shows them.
            pub(super) const ALL: &[(Self, &str)] = &[$((Self::$name, $key),)*];
        }
    };
}

events! {
    /// The program returned `BPF_OK`.
    Ok = "ok",
    /// The program returned `BPF_LWT_REROUTE`.
    Reroute = "reroute",
    /// The program returned `BPF_REDIRECT`.
    Redirect = "redirect",
    /// The program returned `BPF_DROP`.
    Drop = "drop",
    /// The program returned no valid verdict.
    Illegal = "illegal",
    /// Reroute: the lookup found no usable route.
    NoRoute = "no_route",
    /// Redirect: there is no target device, or it does not accept the packet in its present form.
    NoDevice = "no_device",
    /// Reroute: the packet is neither IPv4 nor IPv6. `BPF_OK` on xmit: the program changed the
    /// protocol.
    Protocol = "protocol",
    /// A header that has to be read is missing or not in the linear data.
    Truncated = "truncated",
    /// An allocation failed.
    NoMemory = "no_memory",
    /// Redirect: the limit of nested transmissions was reached, see `dev_xmit_recursion()`.
    Recursion = "recursion",
}

impl Event {
    /// The number of events.
    const COUNT: usize = Self::ALL.len();
    /// The number of events that stand for the return value of a program. They come first.
    const NR_VERDICTS: usize = Self::Illegal as usize + 1;

    /// Maps the return value of a program to its event.
    fn from_ret(code: u32) -> Self {
        match code {
            BPF_OK => Self::Ok,
            BPF_LWT_REROUTE => Self::Reroute,
            BPF_REDIRECT => Self::Redirect,
            BPF_DROP => Self::Drop,
            _ => Self::Illegal,
        }
    }
}

/// The counters of one route, by hook.
pub(super) struct RouteCounters([Counters<{ Event::COUNT }>; 3]);

impl RouteCounters {
    pub(super) const fn new() -> Self {
        Self([Counters::new(), Counters::new(), Counters::new()])
    }

    /// Returns the number of runs of a hook's program, and the count of each event.
    fn read<P: HookType>(&self) -> (u64, [u64; Event::COUNT]) {
        let sums = self
            .0
            .get(P::INDEX)
            .and_then(Counters::sum)
            .unwrap_or([0; Event::COUNT]);
        (sums.iter().take(Event::NR_VERDICTS).sum(), sums)
    }
}

impl<P: HookType> HookCtx<'_, P> {
    /// Counts an event. The event is lost if the counters cannot be allocated.
    #[cold]
    #[inline(never)]
    pub(super) fn count(self, what: Event) {
        if let Some(counters) = self
            .state()
            .and_then(|state| state.counters.0.get(P::INDEX))
        {
            counters.add([(what as usize, 1)]);
        }
    }

    /// Counts a run of the program that returned `code`.
    #[cold]
    #[inline(never)]
    pub(super) fn count_ret(self, code: u32) {
        self.count(Event::from_ret(code));
    }

    /// Returns the number of runs of the program, and the count of each event.
    pub(super) fn counts(self) -> (u64, [u64; Event::COUNT]) {
        self.state
            .get()
            .map_or((0, [0; Event::COUNT]), |state| state.counters.read::<P>())
    }
}
