// SPDX-License-Identifier: GPL-2.0-only

//! Routing decisions.
//!
//! C header: [`include/net/dst.h`](srctree/include/net/dst.h)

mod note;

pub(crate) use note::{
    DstNote,
    NotedDst, //
};

use super::netdevice::NetDevice;
use crate::abstractions::{
    bindings,
    success,
    sync::rcu::{
        self,
        ReadSide, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::prelude::*;

/// The device of a route. C: `dst_dev_rcu()`.
///
/// # Safety
///
/// `dst` is valid, and this is an RCU read side, in which the device stays.
#[inline(always)]
pub(in crate::abstractions::net) unsafe fn dst_dev_rcu(
    dst: *const bindings::dst_entry,
) -> *mut bindings::net_device {
    // SAFETY: By the safety requirements of this function.
    unsafe { rcu::dereference(&raw const (*dst).__bindgen_anon_1.dev_rcu) }
}

/// The route of a packet; null if it has none. C: `skb_dst()`.
///
/// # Safety
///
/// `skb` is valid, and the route is held by the packet, or stays for an RCU read side.
#[inline(always)]
pub(in crate::abstractions::net) unsafe fn skb_dst(
    skb: *const bindings::sk_buff,
) -> *mut bindings::dst_entry {
    // SAFETY: By the safety requirements of this function; the view of the union is the one that a
    // packet on its way has.
    let refdst = unsafe { refdst(skb.cast_mut()).read() };
    (refdst & !(bindings::SKB_DST_NOREF as c_ulong)) as *mut bindings::dst_entry
}

/// Takes a packet off its route. C: `skb_dst_drop()`.
///
/// # Safety
///
/// `skb` is valid and ours.
#[inline(always)]
pub(in crate::abstractions::net) unsafe fn skb_dst_drop(skb: *mut bindings::sk_buff) {
    // SAFETY: By the safety requirements of this function; the packet has a reference to its route
    // unless it says that it has none.
    unsafe {
        let place = refdst(skb);
        let refdst = place.read();
        if refdst == 0 {
            return;
        }
        if refdst & bindings::SKB_DST_NOREF as c_ulong == 0 {
            bindings::dst_release(refdst as *mut bindings::dst_entry);
        }
        place.write(0);
    }
}

/// Where a packet has its route, and whether it holds it.
///
/// # Safety
///
/// `skb` is valid.
#[inline(always)]
unsafe fn refdst(skb: *mut bindings::sk_buff) -> *mut c_ulong {
    // SAFETY: By the safety requirements of this function.
    unsafe { &raw mut (*skb).__bindgen_anon_3.__bindgen_anon_1._skb_refdst }
}

/// A route, within an RCU read side: that which brought a packet to a hook, or the one that a
/// lookup found.
///
/// # Invariants
///
/// The pointer is to a `dst_entry` with a device. It stays valid for `'a`, even if the packet leaves
/// it, and `'a` lies in an RCU read side.
#[derive(Clone, Copy)]
pub(crate) struct Dst<'a>(*mut bindings::dst_entry, PhantomData<&'a ()>);

impl<'a> Dst<'a> {
    /// # Safety
    ///
    /// `dst` is valid, has a device, and is not freed during `'a`, which lies in an RCU read side.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw(dst: *mut bindings::dst_entry) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(dst, PhantomData)
    }

    /// A reference to the route, if that is what the packet has, which keeps it: somebody may give it
    /// back, and it need not stay for an RCU read side that has begun later than its end. A packet
    /// without one is on a route that stays.
    ///
    /// # Safety
    ///
    /// `skb` is valid, and on this route.
    #[inline(always)]
    pub(in crate::abstractions::net) unsafe fn hold_for(
        self,
        skb: *mut bindings::sk_buff,
    ) -> Option<DstRef> {
        // SAFETY: By the safety requirements of this function, and the packet has a reference.
        unsafe {
            let held = refdst(skb).read() & bindings::SKB_DST_NOREF as c_ulong == 0;
            held.then(|| {
                bindings::dst_hold(self.0);
                DstRef::from_raw(self.0)
            })
        }
    }

    /// The C view of the route.
    #[cfg(lwtcls_kunit)]
    pub(in crate::abstractions) fn as_ptr(self) -> *mut bindings::dst_entry {
        self.0
    }

    /// The RCU read side that it is used in.
    #[inline(always)]
    pub(crate) fn rcu(self) -> ReadSide<'a> {
        // SAFETY: By the type invariant.
        unsafe { ReadSide::assume() }
    }

    /// The device that the route leads out of, or that it came in by. A route that is held outlives
    /// its device, and has another one then; what is returned stays for the RCU read side.
    /// C: `dst_dev_rcu()`.
    #[inline(always)]
    pub(crate) fn dev(self) -> &'a NetDevice {
        // SAFETY: The route is valid and has a device by the type invariant. The device is freed
        // after a grace period, and `'a` lies in an RCU read side.
        unsafe { NetDevice::from_raw(dst_dev_rcu(self.0)) }
    }

    /// Whether packets on this route are IPv4 ones, as they come to it. Others are IPv6 ones.
    /// C: `dst->ops->family`.
    #[inline(always)]
    pub(crate) fn is_inet(self) -> bool {
        // SAFETY: The route is valid by the type invariant, and its operations are as long.
        unsafe { u32::from((*(*self.0).ops).family) == bindings::AF_INET }
    }

    /// What a lookup that ended in this route says about it: a route may be one that leads nowhere.
    #[inline(always)]
    pub(crate) fn error(self) -> Result {
        // SAFETY: The route is valid by the type invariant.
        success(unsafe { (*self.0).error.into() })
    }
}

/// A route to put a packet on.
pub(crate) enum Found<'a> {
    /// One that is held for the packet.
    Held(DstRef),
    /// One that stays for the RCU read side: whoever keeps the packet for longer holds it.
    Noted(Dst<'a>),
}

impl Found<'_> {
    /// The route.
    #[inline(always)]
    pub(crate) fn dst<'a>(&'a self, rcu: &'a ReadSide<'_>) -> Dst<'a> {
        match self {
            Self::Held(dst) => dst.dst(rcu),
            Self::Noted(dst) => *dst,
        }
    }

    /// Puts a packet on the route. It had one before, so what both note besides is noted.
    /// C: `skb_dst_set()`, `skb_dst_set_noref()`.
    ///
    /// # Safety
    ///
    /// `skb` is valid and ours, has no route, and leaves this one before the RCU read side ends, or
    /// holds it.
    #[inline(always)]
    pub(in crate::abstractions::net) unsafe fn attach(self, skb: *mut bindings::sk_buff) {
        let refdst = match self {
            Self::Held(dst) => dst.into_raw() as c_ulong,
            Self::Noted(dst) => dst.0 as c_ulong | bindings::SKB_DST_NOREF as c_ulong,
        };
        // SAFETY: By the safety requirements of this function.
        unsafe { self::refdst(skb).write(refdst) };
    }
}

/// A counted reference to a route. Its drop gives it back.
///
/// # Invariants
///
/// The pointer is to a valid `dst_entry` with a device, of which one reference is ours.
pub(crate) struct DstRef(pub(super) NonNull<bindings::dst_entry>);

impl DstRef {
    /// # Safety
    ///
    /// `dst` is valid, has a device, and the caller gives away one of its references.
    #[inline(always)]
    pub(in crate::abstractions::net) unsafe fn from_raw(dst: *mut bindings::dst_entry) -> Self {
        // INVARIANT: By the safety requirements of this function.
        // SAFETY: A valid route is not at address 0.
        Self(unsafe { NonNull::new_unchecked(dst) })
    }

    /// The route, unless it is one that leads nowhere: why that is so then.
    #[inline(always)]
    pub(in crate::abstractions::net) fn usable(self) -> Result<Self> {
        // SAFETY: Valid by the type invariant.
        success(unsafe { (*self.0.as_ptr()).error.into() })?;
        Ok(self)
    }

    /// The route, as long as it is referred to, and within an RCU read side.
    #[inline(always)]
    pub(crate) fn dst<'a>(&'a self, _rcu: &'a ReadSide<'_>) -> Dst<'a> {
        // SAFETY: Valid by the type invariant for as long as `self` is borrowed, in an RCU read
        // side by the token. What a lookup finds has a device.
        unsafe { Dst::from_raw(self.0.as_ptr()) }
    }

    /// Gives the reference away.
    #[inline(always)]
    pub(in crate::abstractions::net) fn into_raw(self) -> *mut bindings::dst_entry {
        core::mem::ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Clone for DstRef {
    fn clone(&self) -> Self {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::dst_hold(self.0.as_ptr()) };
        // INVARIANT: The line above has added one.
        Self(self.0)
    }
}

impl Drop for DstRef {
    fn drop(&mut self) {
        // SAFETY: One reference is ours by the type invariant, and this is its end.
        unsafe { bindings::dst_release(self.0.as_ptr()) };
    }
}
