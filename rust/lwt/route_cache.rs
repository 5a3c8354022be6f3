// SPDX-License-Identifier: GPL-2.0-only

//! The route that the packets of a tunnel took last.
//!
//! A tunnel gives its packets the same outer addresses, so their lookups end alike. A CPU notes
//! what the last one has found, and spares the next packet the lookup if it asks the same and
//! nothing has changed: the kernel announces changes of routes, rules, addresses and devices to
//! those who keep routes, which `dst_check()` tells. What it does not announce (neighbours that
//! fail, sysctls that routes go by, names of devices in rules) is seen at the next tick, for
//! a note is good for the tick in which it was made.
//!
//! A note holds the route, as a socket does: a device that goes takes the route's reference to it back.
//! What would stay by its own note is not noted: routes with a tunnel state, which might be that which
//! has the note. Nor is what may have to go before the note: routes of IPv6 in a namespace that may end.

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

/// How many routes have one at most. Each takes 128 bytes for each CPU.
const MAX: i32 = 4096;

/// After so many packets in a row of which each is of another flow than the last, a CPU leaves its note of
/// the route alone until the next tick.
const MISSES: u8 = 4;

/// How many routes have one.
static IN_USE: Atomic<i32> = Atomic::new(0);

/// The notes of one route. They take no memory before the first packet is rerouted; routes that
/// there is no memory for, and more than [`MAX`] of them, do without.
pub(super) struct RouteCache {
    notes: PerCpuCell<Note>,
    /// Whether it does without for good.
    without: Atomic<bool>,
}

/// What a CPU notes. Zero is a note of nothing.
#[derive(Zeroable)]
pub(super) struct Note {
    flow: Flow,
    /// Whether there is a route.
    known: bool,
    /// How many packets in a row were of another flow than the last, in the tick `at`; [`MISSES`] as well
    /// if the route of the flow is one that is not noted.
    misses: u8,
    /// When the route was looked up, or the last of these packets came.
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

    /// What this CPU notes, for one packet. `None` if it does without: there is no memory, the
    /// packets are all of different flows, their route is one that is not noted, or somebody who was
    /// interrupted has it.
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

    /// Notes the route that a lookup for this flow has found, if this CPU has noted the flow. If it is one
    /// that is not noted, the note is not asked again in this tick.
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
            // It is another one's if this was interrupted.
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

/// What a note says of a packet.
pub(super) enum Noted<'r> {
    /// Its route.
    Route(Dst<'r>),
    /// The last packet was of the same flow, but there is no route, or no longer.
    SameFlow,
    /// The last packet was of another flow: if each one is of another, notes are not worth what they
    /// cost.
    OtherFlow,
}

impl Note {
    /// What the note says of a packet of that flow.
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
        // What the route is checked by may take a while.
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
