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
            DstNote,
            DstRef,
            Found, //
        },
        flow::{
            Flow,
            Origin, //
        },
        skbuff::Skb, //
    },
    sync::{
        bottom_half::BhDisabled,
        percpu::PerCpuCell,
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
struct Note {
    flow: Flow,
    /// Whether there is a route, and when it was looked up.
    known: bool,
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

    /// The route for `skb`, noted or looked up. The errno is that of the lookup.
    #[inline(always)]
    pub(super) fn find<'a>(
        &self,
        bh: &BhDisabled<'_>,
        rcu: &ReadSide<'a>,
        origin: &Origin<'_>,
        skb: &Skb,
        flow: Flow,
    ) -> Result<Found<'a>> {
        let now = Tick::now();
        if let Some(note) = self.notes.take(bh) {
            if note.at == now && note.known && note.flow == flow && !origin.has_xfrm_policy() {
                if let Some(dst) = note.route.get(rcu) {
                    return Ok(Found::Noted(dst));
                }
            }
        }
        self.look_up(bh, rcu, origin, skb, flow, now)
            .map(Found::Held)
    }

    /// Looks the route up, and notes it if the last packet was of the same flow: if each one is of
    /// another, notes are not worth what they cost.
    #[inline(never)]
    fn look_up(
        &self,
        bh: &BhDisabled<'_>,
        rcu: &ReadSide<'_>,
        origin: &Origin<'_>,
        skb: &Skb,
        flow: Flow,
        now: Tick,
    ) -> Result<DstRef> {
        let again = match self.notes.take(bh) {
            Some(note) if note.flow == flow => true,
            Some(mut note) => {
                note.flow = flow;
                note.known = false;
                false
            }
            None => {
                self.prepare();
                false
            }
        };
        let found = flow.look_up(origin, skb)?;
        if again && flow.is_unicast() && !origin.has_xfrm_policy() {
            if let Some(mut note) = self.notes.take(bh) {
                // It is another one's if this was interrupted.
                if note.flow == flow {
                    note.known = note.route.set(&found, rcu);
                    note.at = now;
                }
            }
        }
        Ok(found)
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

impl Drop for RouteCache {
    fn drop(&mut self) {
        if self.notes.is_allocated() {
            IN_USE.add(-1, Relaxed);
        }
    }
}
