// SPDX-License-Identifier: GPL-2.0-only

//! Notes of routes, which hold them.
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
    prelude::*, //
};

/// A note of a route, which holds it for as long as anybody likes. Zero is a note of none.
///
/// Packets may be on the route without holding it: the reference is given back after a grace period.
#[derive(Zeroable)]
pub(crate) struct DstNote {
    held: Option<KBox<Held>>,
    cookie: u32,
}

/// A reference, and what RCU needs to give it back later.
#[repr(C)]
struct Held {
    rcu: bindings::callback_head,
    dst: DstRef,
}

// SAFETY: A route may be looked at, and given back, on any CPU. Nobody looks at the rest before RCU
// has it.
unsafe impl Send for Held {}

impl DstNote {
    /// What is noted.
    #[inline(always)]
    pub(crate) fn get<'a>(&self, _rcu: &ReadSide<'a>) -> Option<NotedDst<'a>> {
        let dst = self.held.as_ref()?.dst.0.as_ptr();
        // INVARIANT: Valid by the invariant of the reference, which is not given back before this
        // read side ends. What is held has a device.
        Some(NotedDst {
            dst,
            cookie: self.cookie,
            _rcu: PhantomData,
        })
    }

    /// Notes the route that a lookup has found. False if there is no memory, or if it is one that
    /// cannot be noted: XFRM has checks of its own; a route with a tunnel state might lead to what has
    /// the note, which would then never go; and one of IPv6 has to be freed before its namespace, so
    /// that has to be the initial one. Does not sleep.
    pub(crate) fn set(&mut self, found: &DstRef, rcu: &ReadSide<'_>) -> bool {
        let dst = found.0.as_ptr();
        // SAFETY: Valid by the type invariant.
        let lasts = unsafe {
            !bindings::dst_is_xfrm(dst)
                && (*dst).lwtstate.is_null()
                && bindings::dst_outlives_net(dst)
        };
        if !lasts {
            return false;
        }
        let cookie = if found.dst(rcu).is_inet() {
            0
        } else {
            // SAFETY: Valid by the type invariant, and one of IPv6 that is not XFRM's.
            unsafe { bindings::rt6_get_cookie(dst) }
        };
        if self.held.as_ref().is_some_and(|held| held.dst.0 == found.0) {
            self.cookie = cookie;
            return true;
        }
        let held = Held {
            // SAFETY: Zero is what C has there before `call_rcu()`.
            rcu: unsafe { core::mem::zeroed() },
            dst: found.clone(),
        };
        let Ok(held) = KBox::new(held, GFP_NOWAIT | __GFP_NOWARN) else {
            return false;
        };
        self.forget();
        self.held = Some(held);
        self.cookie = cookie;
        true
    }

    /// Gives the route back, after a grace period. Whoever unloads code waits for callbacks of RCU.
    fn forget(&mut self) {
        if let Some(held) = self.held.take() {
            let held = KBox::into_raw(held);
            // SAFETY: Out of a box, and nobody else knows it.
            unsafe { bindings::call_rcu_hurry(&raw mut (*held).rcu, Some(release)) };
        }
    }
}

/// A route that was noted.
///
/// # Invariants
///
/// `dst` is valid for `'a`, which lies in an RCU read side, and has a device.
pub(crate) struct NotedDst<'a> {
    dst: *mut bindings::dst_entry,
    cookie: u32,
    _rcu: PhantomData<&'a ()>,
}

impl<'a> NotedDst<'a> {
    /// The route, unless something was announced since it was noted by which a lookup would find another
    /// one. C: `dst_check()`.
    #[inline(always)]
    pub(crate) fn check(self) -> Option<Dst<'a>> {
        // SAFETY: Valid, and with a device, by the type invariant.
        unsafe {
            let valid = bindings::dst_check(self.dst, self.cookie);
            (!valid.is_null()).then(|| Dst::from_raw(self.dst))
        }
    }
}

impl Drop for DstNote {
    fn drop(&mut self) {
        self.forget();
    }
}

/// C: `rcu_callback_t`.
///
/// # Safety
///
/// `rcu` is that of a [`Held`] which came out of a box and is not used any more.
unsafe extern "C" fn release(rcu: *mut bindings::callback_head) {
    // SAFETY: By the safety requirements of this function; it is the first field.
    drop(unsafe { KBox::from_raw(rcu.cast::<Held>()) });
}
