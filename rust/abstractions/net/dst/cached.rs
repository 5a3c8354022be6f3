// SPDX-License-Identifier: GPL-2.0-only

//! References to routes in a cache.
//!
//! C header: [`include/net/dst.h`](srctree/include/net/dst.h)

use super::{
    Dst,
    DstRef, //
};
use crate::abstractions::{
    bindings,
    sync::rcu::ReadSide, //
};
use core::marker::PhantomData;
use kernel::{
    alloc::flags::{
        GFP_NOWAIT,
        __GFP_NOWARN, //
    },
    prelude::*,
    ptr::project, //
};

/// A cached route: a reference that may be kept for an unlimited time. All zeroes is no route.
///
/// Packets may use the route without a reference of their own. Therefore the reference is released
/// after a grace period.
#[derive(Zeroable)]
pub(crate) struct CachedDst {
    held: Option<KBox<DstRefRcu>>,
    cookie: u32,
}

/// A reference, and the RCU head to release it after a grace period.
#[repr(C)]
struct DstRefRcu {
    rcu: bindings::callback_head,
    dst: DstRef,
}

// SAFETY: A route may be used and released on any CPU. Nothing accesses the RCU head before
// `call_rcu()`.
unsafe impl Send for DstRefRcu {}

impl CachedDst {
    /// Returns the cached route.
    #[inline(always)]
    pub(crate) fn get<'a>(&self, _rcu: &ReadSide<'a>) -> Option<UncheckedDst<'a>> {
        let dst = self.held.as_ref()?.dst.0.as_ptr();
        // INVARIANT: The route is valid and has a device by the invariant of `DstRef`. The
        // reference is released after a grace period, and thus not before this read-side critical
        // section ends.
        Some(UncheckedDst {
            dst,
            cookie: self.cookie,
            _rcu: PhantomData,
        })
    }

    /// Caches the route that a lookup found. Does not sleep.
    ///
    /// Returns `false` if the allocation fails, or if the route cannot be cached:
    ///
    /// - XFRM routes have checks of their own.
    /// - A route with a tunnel state may lead to the owner of this value. The reference cycle would
    ///   keep both forever.
    /// - An IPv6 route has to be freed before its namespace. Only those of the initial namespace
    ///   are cached.
    pub(crate) fn set(&mut self, found: &DstRef, rcu: &ReadSide<'_>) -> bool {
        let dst = found.0.as_ptr();
        // SAFETY: The route is valid by the type invariant of `DstRef`.
        if unsafe { bindings::dst_is_xfrm(dst) } {
            return false;
        }
        // SAFETY: The route is valid by the type invariant of `DstRef`.
        if !unsafe { (*dst).lwtstate }.is_null() {
            return false;
        }
        // SAFETY: The route is valid by the type invariant of `DstRef`.
        if !unsafe { bindings::dst_outlives_net(dst) } {
            return false;
        }
        let cookie = if found.dst(rcu).is_inet() {
            0
        } else {
            // SAFETY: The route is valid by the type invariant of `DstRef`. It is an IPv6 route,
            // and no XFRM one.
            unsafe { bindings::rt6_get_cookie(dst) }
        };
        if self.held.as_ref().is_some_and(|held| held.dst.0 == found.0) {
            self.cookie = cookie;
            return true;
        }
        let held = DstRefRcu {
            // SAFETY: All zeroes are a valid RCU head before `call_rcu()`.
            rcu: unsafe { core::mem::zeroed() },
            dst: found.clone(),
        };
        let Ok(held) = KBox::new(held, GFP_NOWAIT | __GFP_NOWARN) else {
            return false;
        };
        self.release();
        self.held = Some(held);
        self.cookie = cookie;
        true
    }

    /// Releases the route after a grace period. Module unload must wait for the callback
    /// (`rcu_barrier()`).
    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            let head = project!(mut KBox::into_raw(held), .rcu);
            // SAFETY: `head` is in a value that was taken out of its box above, and there is no
            // other pointer to it. `free_rcu` frees it.
            unsafe { bindings::call_rcu_hurry(head, Some(free_rcu)) };
        }
    }
}

/// A cached route that has not been checked yet.
///
/// # Invariants
///
/// `dst` is valid and has a device for `'a`, which lies in an RCU read-side critical section.
pub(crate) struct UncheckedDst<'a> {
    dst: *mut bindings::dst_entry,
    cookie: u32,
    _rcu: PhantomData<&'a ()>,
}

impl<'a> UncheckedDst<'a> {
    /// Returns the route if it is still valid. C: `dst_check()`.
    ///
    /// It is not if a change was announced since it was cached, after which a lookup may find
    /// another route.
    #[inline(always)]
    pub(crate) fn check(self) -> Option<Dst<'a>> {
        // SAFETY: The route is valid by the type invariant.
        let valid = unsafe { bindings::dst_check(self.dst, self.cookie) };
        // SAFETY: The route is valid and has a device for `'a`, which lies in an RCU read-side
        // critical section, by the type invariant.
        (!valid.is_null()).then(|| unsafe { Dst::from_raw(self.dst) })
    }
}

impl Drop for CachedDst {
    fn drop(&mut self) {
        self.release();
    }
}

/// Releases the reference of a [`DstRefRcu`]. C: `rcu_callback_t`.
///
/// # Safety
///
/// `rcu` is the RCU head of a [`DstRefRcu`] that comes from `KBox::into_raw` and is not used after
/// this.
unsafe extern "C" fn free_rcu(rcu: *mut bindings::callback_head) {
    // SAFETY: By the safety requirements of this function. The RCU head is the first field of
    // `DstRefRcu`.
    drop(unsafe { KBox::from_raw(rcu.cast::<DstRefRcu>()) });
}
