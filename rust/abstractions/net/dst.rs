// SPDX-License-Identifier: GPL-2.0-only

//! Routing decisions.
//!
//! C header: [`include/net/dst.h`](srctree/include/net/dst.h)

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
use kernel::{
    alloc::flags::{
        GFP_NOWAIT,
        __GFP_NOWARN, //
    },
    prelude::*, //
};

/// The device of a route. C: `dst_dev_rcu()`.
///
/// # Safety
///
/// `dst` is valid, and this is an RCU read side, in which the device stays.
#[inline(always)]
pub(super) unsafe fn dst_dev_rcu(dst: *const bindings::dst_entry) -> *mut bindings::net_device {
    // SAFETY: By the safety requirements of this function.
    unsafe { rcu::dereference(&raw const (*dst).__bindgen_anon_1.dev_rcu) }
}

/// The route of a packet; null if it has none. C: `skb_dst()`.
///
/// # Safety
///
/// `skb` is valid, and the route is held by the packet, or stays for an RCU read side.
#[inline(always)]
pub(super) unsafe fn skb_dst(skb: *const bindings::sk_buff) -> *mut bindings::dst_entry {
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
pub(super) unsafe fn skb_dst_drop(skb: *mut bindings::sk_buff) {
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
    pub(super) unsafe fn hold_for(self, skb: *mut bindings::sk_buff) -> Option<DstRef> {
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
    pub(super) unsafe fn attach(self, skb: *mut bindings::sk_buff) {
        let refdst = match self {
            Self::Held(dst) => dst.into_raw() as c_ulong,
            Self::Noted(dst) => dst.0 as c_ulong | bindings::SKB_DST_NOREF as c_ulong,
        };
        // SAFETY: By the safety requirements of this function.
        unsafe { self::refdst(skb).write(refdst) };
    }
}

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

/// A counted reference to a route. Its drop gives it back.
///
/// # Invariants
///
/// The pointer is to a valid `dst_entry` with a device, of which one reference is ours.
pub(crate) struct DstRef(NonNull<bindings::dst_entry>);

impl DstRef {
    /// # Safety
    ///
    /// `dst` is valid, has a device, and the caller gives away one of its references.
    #[inline(always)]
    pub(super) unsafe fn from_raw(dst: *mut bindings::dst_entry) -> Self {
        // INVARIANT: By the safety requirements of this function.
        // SAFETY: A valid route is not at address 0.
        Self(unsafe { NonNull::new_unchecked(dst) })
    }

    /// The route, unless it is one that leads nowhere: why that is so then.
    #[inline(always)]
    pub(super) fn usable(self) -> Result<Self> {
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
    pub(super) fn into_raw(self) -> *mut bindings::dst_entry {
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
