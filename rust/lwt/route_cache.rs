// SPDX-License-Identifier: GPL-2.0-only

//! Per-CPU cache of the route that the packets of a tunnel took last.
//!
//! A tunnel gives its packets the same outer addresses, so their lookups find the same route. Each
//! CPU caches the result of the last lookup, and uses it for the next packet of the same flow. An
//! entry becomes invalid in two ways:
//!
//! - Routes, rules, addresses or devices change: `dst_check()` fails, or, for IPv6,
//!   `rt_genid_ipv6()` differs, which is a part of [`Flow`].
//! - The jiffy in which the route was looked up ends. This bounds the delay of changes that these
//!   two do not show: failed neighbours, sysctls that affect routing, names of devices in rules.
//!
//! An entry holds a reference to the route, as a socket does. It does not keep a device from being
//! unregistered: the core then replaces the device of the route. Some routes are not cached:
//!
//! - Routes with a tunnel state: it may be the one that owns the entry, and the reference cycle
//!   would keep both forever.
//! - IPv6 routes outside the initial namespace: they have to be freed before their namespace, and
//!   the entry may outlive it.
//! - Routes that depend on more than the flow: of multicast packets, of packets without a source
//!   address, and all of them while the namespace has XFRM policies.

use crate::abstractions::{
    net::{
        dst::{
            CachedDst,
            Dst,
            DstRef,
            UncheckedDst, //
        },
        flow::{
            Flow,
            FlowOwner, //
        }, //
    },
    sync::{
        bottom_half::BhDisabled,
        percpu::{
            CpuGuard,
            PerCpuCell, //
        },
        rcu::ReadSide, //
    },
    time::Jiffy, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Maximum number of routes with a cache. Each takes 128 bytes per CPU.
const MAX_CACHES: i32 = 4096;

/// Number of consecutive packets, each of another flow than the one before, after which a CPU
/// bypasses its entry of the route until the next jiffy.
const MAX_MISSES: u8 = 4;

/// Number of routes with a cache.
static NR_CACHES: Atomic<i32> = Atomic::new(0);

/// The cache of one tunnel route: an entry per CPU.
///
/// It is allocated when the first packet is rerouted. Routes have no cache if the allocation fails
/// or [`MAX_CACHES`] routes have one already.
pub(super) struct RouteCache {
    entries: PerCpuCell<CacheEntry>,
    /// Whether the allocation failed, or [`MAX_CACHES`] was reached. There is no second attempt.
    disabled: Atomic<bool>,
}

/// The cache entry of one CPU. All zeroes is an empty entry.
#[derive(Zeroable)]
pub(super) struct CacheEntry {
    flow: Flow,
    /// Whether `route` is the route of `flow`.
    valid: bool,
    /// The number of consecutive packets of another flow than the one before, in the jiffy `stamp`.
    /// It is also set to [`MAX_MISSES`] if the route of the flow cannot be cached.
    misses: u8,
    /// The jiffy of the lookup or of the last miss.
    stamp: Jiffy,
    route: CachedDst,
}

impl RouteCache {
    #[inline]
    pub(super) const fn new() -> Self {
        Self {
            entries: PerCpuCell::new(),
            disabled: Atomic::new(false),
        }
    }

    /// Takes the entry of this CPU, for one packet.
    ///
    /// Returns `None` if the cache is to be bypassed: the entries are not allocated, the packets
    /// are all of different flows, their route cannot be cached, or an interrupted context has the
    /// entry.
    #[inline(always)]
    pub(super) fn entry<'a>(
        &'a self,
        bh: &'a BhDisabled<'_>,
        now: Jiffy,
    ) -> Option<CpuGuard<'a, CacheEntry>> {
        let Some(entry) = self.entries.try_borrow(bh) else {
            self.alloc();
            return None;
        };
        if entry.misses >= MAX_MISSES && entry.stamp == now {
            return None;
        }
        Some(entry)
    }

    /// Caches the route that a lookup for `flow` found, if the entry of this CPU is for that flow.
    ///
    /// If the route cannot be cached, this CPU bypasses the entry for the rest of the jiffy.
    #[inline(always)]
    pub(super) fn set(
        &self,
        bh: &BhDisabled<'_>,
        now: Jiffy,
        rcu: &ReadSide<'_>,
        owner: &FlowOwner<'_>,
        flow: &Flow,
        found: &DstRef,
    ) {
        let may = flow.is_unicast() && !owner.has_xfrm_policy();
        if let Some(mut entry) = self.entries.try_borrow(bh) {
            // The entry is for another flow if this context was interrupted during the lookup.
            if entry.flow == *flow {
                entry.valid = may && entry.route.set(found, rcu);
                entry.misses = if entry.valid { 0 } else { MAX_MISSES };
                entry.stamp = now;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn alloc(&self) {
        if self.disabled.load(Relaxed) || self.entries.is_allocated() {
            return;
        }
        if NR_CACHES.fetch_add(1, Relaxed) >= MAX_CACHES || !self.entries.alloc() {
            NR_CACHES.add(-1, Relaxed);
            // Another CPU may have allocated them.
            self.disabled.store(!self.entries.is_allocated(), Relaxed);
        }
    }
}

/// The result of a cache lookup.
pub(super) enum CacheResult<'r> {
    /// Hit.
    Hit(Dst<'r>),
    /// Miss: the last packet was of the same flow, but no valid route is cached. The result of the
    /// lookup is worth caching.
    Stale,
    /// Miss: the last packet was of another flow. The result of the lookup is not cached, because
    /// that costs more than it saves if every packet is of another flow.
    Miss,
}

impl CacheEntry {
    /// Looks up the route of a flow in the entry. If the entry is for another flow, it is changed
    /// to this one, without a route.
    #[inline(always)]
    pub(super) fn find<'r>(
        mut this: CpuGuard<'_, Self>,
        now: Jiffy,
        rcu: &ReadSide<'r>,
        owner: &FlowOwner<'_>,
        flow: Flow,
    ) -> CacheResult<'r> {
        if this.flow != flow {
            this.misses = if this.stamp == now {
                this.misses.saturating_add(1)
            } else {
                1
            };
            this.stamp = now;
            this.flow = flow;
            this.valid = false;
            return CacheResult::Miss;
        }
        if this.stamp != now || !this.valid || owner.has_xfrm_policy() {
            return CacheResult::Stale;
        }
        let route = this.route.get(rcu);
        // Release the entry first: `dst_check()` may take a while.
        drop(this);
        route
            .and_then(UncheckedDst::check)
            .map_or(CacheResult::Stale, CacheResult::Hit)
    }
}

impl Drop for RouteCache {
    fn drop(&mut self) {
        if self.entries.is_allocated() {
            NR_CACHES.add(-1, Relaxed);
        }
    }
}
