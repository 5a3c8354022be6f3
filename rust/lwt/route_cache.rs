// SPDX-License-Identifier: GPL-2.0-only

//! Per-CPU cache of the route that the packets of a tunnel took last.
//!
//! A tunnel gives its packets the same outer addresses, so their lookups find the same route. Each
//! CPU caches the result of the last lookup, and uses it for the next packet of the same flow. An
//! entry (a *note*) becomes invalid in two ways:
//!
//! - Routes, rules, addresses or devices change: `dst_check()` fails, or, for IPv6,
//!   `rt_genid_ipv6()` differs, which is a part of [`Flow`].
//! - The jiffy in which the route was looked up ends. This bounds the delay of changes that these
//!   two do not show: failed neighbours, sysctls that affect routing, names of devices in rules.
//!
//! A note holds a reference to the route, as a socket does. It does not keep a device from being
//! unregistered: the core then replaces the device of the route. Some routes are not cached:
//!
//! - Routes with a tunnel state: it may be the one that owns the note, and the reference cycle
//!   would keep both forever.
//! - IPv6 routes outside the initial namespace: they have to be freed before their namespace, and
//!   the note may outlive it.
//! - Routes that depend on more than the flow: of multicast packets, of packets without a source
//!   address, and all of them while the namespace has XFRM policies.

use crate::abstractions::{
    net::{
        dst::{
            Dst,
            DstNote,
            DstRef,
            NotedDst, //
        },
        flow::{
            Flow,
            Origin, //
        }, //
    },
    sync::{
        bottom_half::BhDisabled,
        percpu::{
            PerCpuCell,
            Taken, //
        },
        rcu::ReadSide, //
    },
    time::Tick, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Maximum number of routes with a cache. Each takes 128 bytes per CPU.
const MAX: i32 = 4096;

/// Number of consecutive packets, each of another flow than the one before, after which a CPU
/// bypasses its note of the route until the next jiffy.
const MISSES: u8 = 4;

/// Number of routes with a cache.
static IN_USE: Atomic<i32> = Atomic::new(0);

/// The cache of one tunnel route: a note per CPU.
///
/// It is allocated when the first packet is rerouted. Routes have no cache if the allocation fails
/// or [`MAX`] routes have one already.
pub(super) struct RouteCache {
    notes: PerCpuCell<Note>,
    /// Whether the allocation failed, or [`MAX`] was reached. There is no second attempt.
    without: Atomic<bool>,
}

/// The cache entry of one CPU. All zeroes is an empty entry.
#[derive(Zeroable)]
pub(super) struct Note {
    flow: Flow,
    /// Whether `route` is the route of `flow`.
    known: bool,
    /// The number of consecutive packets of another flow than the one before, in the jiffy `at`. It
    /// is also set to [`MISSES`] if the route of the flow cannot be cached.
    misses: u8,
    /// The jiffy of the lookup or of the last miss.
    at: Tick,
    route: DstNote,
}

impl RouteCache {
    #[inline]
    pub(super) const fn new() -> Self {
        Self {
            notes: PerCpuCell::new(),
            without: Atomic::new(false),
        }
    }

    /// Takes the note of this CPU, for one packet.
    ///
    /// Returns `None` if the cache is to be bypassed: the notes are not allocated, the packets are
    /// all of different flows, their route cannot be cached, or an interrupted context has the
    /// note.
    #[inline(always)]
    pub(super) fn note<'a>(&'a self, bh: &'a BhDisabled<'_>, now: Tick) -> Option<Taken<'a, Note>> {
        let Some(note) = self.notes.take(bh) else {
            self.prepare();
            return None;
        };
        if note.misses >= MISSES && note.at == now {
            return None;
        }
        Some(note)
    }

    /// Caches the route that a lookup for `flow` found, if the note of this CPU is for that flow.
    ///
    /// If the route cannot be cached, this CPU bypasses the note for the rest of the jiffy.
    #[inline(always)]
    pub(super) fn set(
        &self,
        bh: &BhDisabled<'_>,
        now: Tick,
        rcu: &ReadSide<'_>,
        origin: &Origin<'_>,
        flow: &Flow,
        found: &DstRef,
    ) {
        let may = flow.is_unicast() && !origin.has_xfrm_policy();
        if let Some(mut note) = self.notes.take(bh) {
            // The note is for another flow if this context was interrupted during the lookup.
            if note.flow == *flow {
                note.known = may && note.route.set(found, rcu);
                note.misses = if note.known { 0 } else { MISSES };
                note.at = now;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn prepare(&self) {
        if self.without.load(Relaxed) || self.notes.is_allocated() {
            return;
        }
        if IN_USE.fetch_add(1, Relaxed) >= MAX || !self.notes.alloc() {
            IN_USE.add(-1, Relaxed);
            // Another CPU may have allocated them.
            self.without.store(!self.notes.is_allocated(), Relaxed);
        }
    }
}

/// The result of a cache lookup.
pub(super) enum Noted<'r> {
    /// Hit.
    Route(Dst<'r>),
    /// Miss: the last packet was of the same flow, but no valid route is cached. The result of the
    /// lookup is worth caching.
    SameFlow,
    /// Miss: the last packet was of another flow. The result of the lookup is not cached, because
    /// that costs more than it saves if every packet is of another flow.
    OtherFlow,
}

impl Note {
    /// Looks up the route of a flow in the note. If the note is for another flow, it is changed to
    /// this one, without a route.
    #[inline(always)]
    pub(super) fn find<'r>(
        mut this: Taken<'_, Self>,
        now: Tick,
        rcu: &ReadSide<'r>,
        origin: &Origin<'_>,
        flow: Flow,
    ) -> Noted<'r> {
        if this.flow != flow {
            this.misses = if this.at == now {
                this.misses.saturating_add(1)
            } else {
                1
            };
            this.at = now;
            this.flow = flow;
            this.known = false;
            return Noted::OtherFlow;
        }
        if this.at != now || !this.known || origin.has_xfrm_policy() {
            return Noted::SameFlow;
        }
        let route = this.route.get(rcu);
        // Release the note first: `dst_check()` may take a while.
        drop(this);
        route
            .and_then(NotedDst::check)
            .map_or(Noted::SameFlow, Noted::Route)
    }
}

impl Drop for RouteCache {
    fn drop(&mut self) {
        if self.notes.is_allocated() {
            IN_USE.add(-1, Relaxed);
        }
    }
}
