// SPDX-License-Identifier: GPL-2.0-only

//! Routes (dst entries).
//!
//! C header: [`include/net/dst.h`](srctree/include/net/dst.h)

mod cached;

pub(crate) use cached::{
    CachedDst,
    UncheckedDst, //
};

use super::{
    netdevice::NetDevice,
    skbuff::SkBuff, //
};
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
    prelude::*,
    ptr::project, //
};

/// Returns the device of a route. C: `dst_dev_rcu()`.
///
/// # Safety
///
/// `dst` is valid. The caller is in an RCU read-side critical section, in which the device stays
/// valid.
#[inline(always)]
pub(in crate::abstractions::net) unsafe fn dst_dev_rcu(
    dst: *const bindings::dst_entry,
) -> *mut bindings::net_device {
    let place = project!(dst, .__bindgen_anon_1.dev_rcu);
    // SAFETY: By the safety requirements of this function.
    unsafe { rcu::dereference(place) }
}

/// Returns the route of a packet, or null. C: `skb_dst()`.
///
/// It is valid as long as the packet holds a reference to it, or for the RCU read-side critical
/// section in which it was attached to the packet.
#[inline(always)]
pub(in crate::abstractions::net) fn skb_dst(skb: &SkBuff) -> *mut bindings::dst_entry {
    // SAFETY: The packet is valid. This member of the union is the one in use while a packet is in
    // the network stack.
    let refdst = unsafe { refdst(skb).read() };
    (refdst & !(bindings::SKB_DST_NOREF as c_ulong)) as *mut bindings::dst_entry
}

/// Removes the route from a packet. C: `skb_dst_drop()`.
#[inline(always)]
pub(in crate::abstractions::net) fn skb_dst_drop(skb: &mut SkBuff) {
    let place = refdst(skb);
    // SAFETY: The packet is valid and exclusively borrowed.
    let refdst = unsafe { place.read() };
    if refdst == 0 {
        return;
    }
    if refdst & bindings::SKB_DST_NOREF as c_ulong == 0 {
        // SAFETY: Without `SKB_DST_NOREF` the packet holds a reference to its route, which it gives
        // up here.
        unsafe { bindings::dst_release(refdst as *mut bindings::dst_entry) };
    }
    // SAFETY: The packet is valid and exclusively borrowed.
    unsafe { place.write(0) };
}

/// Returns the address of the packet's `_skb_refdst`: its route, and whether it holds a reference.
#[inline(always)]
fn refdst(skb: &SkBuff) -> *mut c_ulong {
    project!(mut skb.as_ptr(), .__bindgen_anon_3.__bindgen_anon_1._skb_refdst)
}

/// A route within an RCU read-side critical section: the one by which a packet reached a hook, or
/// the result of a lookup.
///
/// # Invariants
///
/// The pointer is to a `dst_entry` with a device. It stays valid for `'a`, even if the packet is
/// removed from the route, and `'a` lies in an RCU read-side critical section.
#[derive(Clone, Copy)]
pub(crate) struct Dst<'a>(*mut bindings::dst_entry, PhantomData<&'a ()>);

impl<'a> Dst<'a> {
    /// # Safety
    ///
    /// `dst` is valid, has a device, and is not freed during `'a`, which lies in an RCU read-side
    /// critical section.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw(dst: *mut bindings::dst_entry) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(dst, PhantomData)
    }

    /// Takes a reference to the route if the packet holds one.
    ///
    /// The packet's reference may be the only one, and a program may drop it. The read-side
    /// critical section alone need not keep the route, which may have been removed before the
    /// section began.
    ///
    /// Returns `None` if the packet holds no reference: such a route stays valid.
    ///
    /// # Safety
    ///
    /// This is the route of the packet.
    #[inline(always)]
    pub(in crate::abstractions::net) unsafe fn hold_for(self, skb: &SkBuff) -> Option<DstRef> {
        // SAFETY: The packet is valid.
        let refdst = unsafe { refdst(skb).read() };
        let held = refdst & bindings::SKB_DST_NOREF as c_ulong == 0;
        held.then(|| {
            // SAFETY: The packet holds a reference to the route, which is this one by the safety
            // requirements of this function.
            unsafe { bindings::dst_hold(self.0) };
            // SAFETY: The route has a device by the type invariant. The reference is the one that
            // was taken above.
            unsafe { DstRef::from_raw(self.0) }
        })
    }

    /// Returns the raw pointer.
    #[cfg(lwtcls_kunit)]
    pub(in crate::abstractions) fn as_ptr(self) -> *mut bindings::dst_entry {
        self.0
    }

    /// Returns a token of the RCU read-side critical section.
    #[inline(always)]
    pub(crate) fn rcu(self) -> ReadSide<'a> {
        // SAFETY: `'a` lies in an RCU read-side critical section, by the type invariant.
        unsafe { ReadSide::assume() }
    }

    /// Returns the device of the route: the output device, if the route sends or forwards packets.
    /// C: `dst_dev_rcu()`.
    ///
    /// A route that is referenced can outlive its device, and then has another one. The returned
    /// device stays valid for the RCU read-side critical section.
    #[inline(always)]
    pub(crate) fn dev(self) -> &'a NetDevice {
        // SAFETY: The route is valid, and `'a` lies in an RCU read-side critical section, by the
        // type invariant.
        let dev = unsafe { dst_dev_rcu(self.0) };
        // SAFETY: The route has a device by the type invariant. Devices are freed after a grace
        // period, and `'a` lies in an RCU read-side critical section.
        unsafe { NetDevice::from_raw(dev) }
    }

    /// Returns whether the route is an IPv4 one. Otherwise it is an IPv6 one.
    /// C: `dst->ops->family`.
    ///
    /// A program may have changed the family of the packet in the meantime.
    #[inline(always)]
    pub(crate) fn is_inet(self) -> bool {
        // SAFETY: The route is valid by the type invariant.
        let ops = unsafe { (*self.0).ops };
        // SAFETY: The `ops` of a route live as long as the route.
        let family = unsafe { (*ops).family };
        u32::from(family) == bindings::AF_INET
    }

    /// Returns the error of the route. A lookup may find an error route, such as an unreachable
    /// one.
    #[inline(always)]
    pub(crate) fn error(self) -> Result {
        // SAFETY: The route is valid by the type invariant.
        success(unsafe { (*self.0).error.into() })
    }
}

/// A route to attach to a packet.
pub(crate) enum Found<'a> {
    /// A counted reference, which the packet takes over.
    Held(DstRef),
    /// A route that is valid for the RCU read-side critical section. Code that queues the packet
    /// takes a reference first (`skb_dst_force()`).
    NoRef(Dst<'a>),
}

impl Found<'_> {
    /// Returns the route.
    #[inline(always)]
    pub(crate) fn dst<'a>(&'a self, rcu: &'a ReadSide<'_>) -> Dst<'a> {
        match self {
            Self::Held(dst) => dst.dst(rcu),
            Self::NoRef(dst) => *dst,
        }
    }

    /// Attaches the route to a packet. C: `skb_dst_set()`, `skb_dst_set_noref()`.
    ///
    /// Unlike these, does not set `skb->slow_gro`, because the packet had a route before.
    ///
    /// # Safety
    ///
    /// The packet has no route. If the route is not counted, the packet is removed from it, or
    /// takes a reference to it, before the RCU read-side critical section ends.
    #[inline(always)]
    pub(in crate::abstractions::net) unsafe fn attach(self, skb: &mut SkBuff) {
        let refdst = match self {
            Self::Held(dst) => dst.into_raw() as c_ulong,
            Self::NoRef(dst) => dst.0 as c_ulong | bindings::SKB_DST_NOREF as c_ulong,
        };
        // SAFETY: The packet is valid and exclusively borrowed. An uncounted
        // route is not used past the RCU read-side critical section, by the safety requirements of
        // this function.
        unsafe { self::refdst(skb).write(refdst) };
    }
}

/// A counted reference to a route, which is released when it is dropped.
///
/// # Invariants
///
/// The pointer is to a valid `dst_entry` with a device, and the value owns one reference to it.
pub(crate) struct DstRef(pub(super) NonNull<bindings::dst_entry>);

impl DstRef {
    /// # Safety
    ///
    /// `dst` is valid, has a device, and the caller passes on one reference to it.
    #[inline(always)]
    pub(in crate::abstractions::net) unsafe fn from_raw(dst: *mut bindings::dst_entry) -> Self {
        // INVARIANT: By the safety requirements of this function.
        // SAFETY: A valid pointer is not null.
        Self(unsafe { NonNull::new_unchecked(dst) })
    }

    /// Returns the route, or the error of an error route, whose reference is then released.
    #[inline(always)]
    pub(in crate::abstractions::net) fn usable(self) -> Result<Self> {
        // SAFETY: The route is valid by the type invariant.
        success(unsafe { (*self.0.as_ptr()).error.into() })?;
        Ok(self)
    }

    /// Borrows the route, within an RCU read-side critical section.
    #[inline(always)]
    pub(crate) fn dst<'a>(&'a self, _rcu: &'a ReadSide<'_>) -> Dst<'a> {
        // SAFETY: The route is valid and has a device by the type invariant, for as long as `self`
        // is borrowed. The token shows that this is an RCU read-side critical section.
        unsafe { Dst::from_raw(self.0.as_ptr()) }
    }

    /// Passes the reference on to the caller, as a raw pointer.
    #[inline(always)]
    pub(in crate::abstractions::net) fn into_raw(self) -> *mut bindings::dst_entry {
        core::mem::ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Clone for DstRef {
    fn clone(&self) -> Self {
        // SAFETY: The route is valid by the type invariant.
        unsafe { bindings::dst_hold(self.0.as_ptr()) };
        // INVARIANT: The line above took a reference.
        Self(self.0)
    }
}

impl Drop for DstRef {
    fn drop(&mut self) {
        // SAFETY: The value owns a reference by the type invariant, and does not use it after this.
        unsafe { bindings::dst_release(self.0.as_ptr()) };
    }
}
